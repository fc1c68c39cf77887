# An image that can retrain: `docker build -f deploy/train.Dockerfile -t regrade-train:0.1.0 .` in the folder of Regrade.
# Serving needs none of this: `regrade bento` packs the service without the learning libraries.
FROM python:3.11-slim

RUN useradd --uid 10001 --create-home regrade && install -d -o regrade /var/lib/regrade
WORKDIR /srv/regrade
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY core core
COPY tasks tasks
COPY feedback feedback
COPY service service
COPY training training
COPY regrade regrade
RUN pip install --no-cache-dir torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu \
    && pip install --no-cache-dir '.[train,postgres]'

USER regrade
ENV REGRADE_HOME=/var/lib/regrade HF_HUB_OFFLINE=1
ENTRYPOINT []
CMD ["regrade", "--help"]
