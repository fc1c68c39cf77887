"""What every room needs: settings, errors, ids, text and redaction. Imports nothing of the other rooms."""
