# The image of Countersign: the program, linked statically, and CA certificates. No libraries, no shell, no package
# manager.
#
#   docker build --tag countersign:0.1.0 --build-arg VERSION=0.1.0 \
#       --build-arg COUNTERSIGN_COMMIT="$(git rev-parse --short=12 HEAD)" \
#       --build-arg SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)" .
#
#   docker run --read-only --volume countersign:/data --publish 127.0.0.1:50051:50051 --publish 127.0.0.1:9090:9090 countersign:0.1.0
#
# deploy/compose runs it with Envoy and Redis. For the same bytes in each build of a commit, add
# `--output type=oci,dest=countersign.tar,rewrite-timestamp=true`.
#
# `scripts/image` builds it without an engine and tests it: it puts the root file system of the first stage
# together outside of a container, and passes it as `--build-context build=DIRECTORY`, which replaces that
# stage.
#
# Before you publish an image, pin its base: `docker buildx imagetools inspect rust:1.95.0-slim-bookworm`
# prints the digest, which belongs behind the tag below, as in rust:1.95.0-slim-bookworm@sha256:….
FROM docker.io/library/rust:1.95.0-slim-bookworm AS build
# Without values, the commit and the time are those of an archive of `git archive`.
ARG COUNTERSIGN_COMMIT
ARG SOURCE_DATE_EPOCH
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    scripts/lib/release/image_root /out

FROM scratch
ARG VERSION=""
ARG COUNTERSIGN_COMMIT=""
ARG CREATED=""
ARG SOURCE=""
LABEL org.opencontainers.image.title="Countersign" \
      org.opencontainers.image.description="Verifies OAuth 1.0a signatures for Envoy and Istio" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$COUNTERSIGN_COMMIT" \
      org.opencontainers.image.created="$CREATED" \
      org.opencontainers.image.source="$SOURCE" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build --chown=0:0 /out/root/ /
# The default data directory, ./data. A new volume takes over its owner and mode; nothing else in the image
# belongs to the user.
COPY --from=build --chown=65532:65532 /out/data/ /data/
# A number, so that Kubernetes can verify `runAsNonRoot`.
USER 65532:65532
WORKDIR /
# Checks, administration API, token endpoints, probes and metrics.
EXPOSE 50051 50052 8080 9090
ENTRYPOINT ["/usr/bin/countersign"]
# The other two listeners stay on the loopback interface of the container, because they need TLS beyond it.
CMD ["serve", "--check", "0.0.0.0:50051", "--ops", "0.0.0.0:9090"]
