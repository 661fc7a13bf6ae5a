# The command line and the library on a CPU, without a window.
#
#     docker build --tag sightline .
#     docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/data" sightline track street.mp4 --save
#
# `.ci/image` builds it and tracks a clip in it where docker runs.

FROM python:3.12-slim-bookworm AS build
WORKDIR /source
COPY . .
RUN python -m venv /opt/sightline \
    && /opt/sightline/bin/python -m pip install --no-cache-dir .

FROM python:3.12-slim-bookworm
# What OpenCV's wheel links to and does not bring.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 libxcb1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 sightline
COPY --from=build /opt/sightline /opt/sightline
ENV PATH=/opt/sightline/bin:$PATH
USER sightline
WORKDIR /data
ENTRYPOINT ["sightline"]
CMD ["--help"]
