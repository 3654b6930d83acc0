# syntax=docker/dockerfile:1
# The program, its model runtime, models and SOP packs on a slim Debian, run by an unprivileged user.
# Postgres is a service of its own: see docker-compose.yml.

FROM rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-pip \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# The pinned ONNX Runtime, checked by sha256: the same table as on a laptop.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    cargo xtask setup onnxruntime
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    cargo build --release --locked --package praetor
RUN mkdir /out \
    && cp target/release/praetor /out/ \
    && cp -r target/runtime/onnxruntime-* /out/onnxruntime

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libgcc-s1 tini tzdata \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/praetor --create-home praetor
COPY --from=build /out/praetor /usr/local/bin/praetor
COPY --from=build /out/onnxruntime /usr/lib/praetor/onnxruntime
COPY models/ /usr/share/praetor/models/
COPY sop_rules/ /usr/share/praetor/sop_rules/
COPY examples/ /usr/share/praetor/examples/
COPY LICENSE /usr/share/praetor/
RUN ln -s "$(ls /usr/lib/praetor/onnxruntime/libonnxruntime.so.*)" /usr/lib/praetor/libonnxruntime.so
ENV PRAETOR_ORT_LIB=/usr/lib/praetor/libonnxruntime.so
WORKDIR /usr/share/praetor
USER 10001
ENTRYPOINT ["tini", "--", "praetor"]
CMD ["--help"]
