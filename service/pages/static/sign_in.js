// Tells somebody who would sign in without HTTPS why that cannot work.

const notice = document.getElementById("insecure");
if (notice && !window.isSecureContext) notice.hidden = false;
