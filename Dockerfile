# syntax=docker/dockerfile:1
# docker build -t lake .                                   a release build: half an hour the first time
# docker run --rm lake demo
# docker run --rm -v "$PWD:/data" lake run                 the lake.yaml of this folder

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# The mounts keep the crates and the build folder from one build to the next; a mount is no part of the
# image, so the binary is copied out of it.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --release --locked --package lake-cli --bin lake \
    && cp target/release/lake /usr/local/bin/lake

FROM debian:bookworm-slim
# Certificates for databases that are reached over TLS; time zones for what "today" is.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates tzdata \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 1000 lake \
    && useradd --uid 1000 --gid lake --create-home lake \
    && install -d -o lake -g lake /data \
    && install -d -m 1777 /cache
COPY --from=build /usr/local/bin/lake /usr/local/bin/lake

# `lake demo` unpacks its embedded Postgres, 100 MB, here. Anyone may write to it, since the container also
# runs as the user who owns a mounted folder (--user).
ENV XDG_CACHE_HOME=/cache
USER lake
WORKDIR /data
VOLUME /data
ENTRYPOINT ["lake"]
CMD ["--help"]
