# syntax=docker/dockerfile:1
# The daemon without the devnet: no Clarity VM, no PostgreSQL. It needs a database.
# Tags name exact versions; where images are promoted by digest, give --build-arg RUST_IMAGE and DEBIAN_IMAGE with one.

ARG RUST_IMAGE=rust:1.95.0-slim-bookworm
ARG DEBIAN_IMAGE=debian:bookworm-slim

FROM ${RUST_IMAGE} AS build
WORKDIR /src
# rust-toolchain.toml asks for rustfmt and clippy, which a build does not need.
ENV RUSTUP_TOOLCHAIN=1.95.0 \
    SQLX_OFFLINE=true \
    CARGO_INCREMENTAL=0
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --no-default-features --package stxworx --bin stxworx \
    && install -D target/release/stxworx /out/stxworx \
    && strip --strip-debug /out/stxworx

FROM ${DEBIAN_IMAGE}
# Certificates of public authorities, for TLS to APIs, webhooks and managed databases.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin stxworx
COPY --from=build /out/stxworx /usr/local/bin/stxworx
COPY --from=build /src/config /etc/stxworx
COPY --from=build /src/LICENSE /usr/share/doc/stxworx/LICENSE
# Inside a container only its own network sees these; publish the observer's port to the node alone. Secrets are files of
# the folder, each named like its setting: database.url.
ENV STXWORX_OBSERVER_LISTEN=0.0.0.0:3700 \
    STXWORX_API_LISTEN=0.0.0.0:3800 \
    STXWORX_METRICS_LISTEN=0.0.0.0:3801 \
    STXWORX_LOG_FORMAT=json \
    STXWORX_DATA_DIR=/nonexistent \
    CREDENTIALS_DIRECTORY=/run/secrets
EXPOSE 3700 3800 3801
USER 10001:10001
WORKDIR /tmp
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=15s --start-period=60s --retries=3 \
    CMD ["stxworx", "status", "--output", "json"]
ENTRYPOINT ["stxworx"]
CMD ["run"]
