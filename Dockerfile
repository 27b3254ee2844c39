# Built from the root of the repository: docker build -t keyturn .
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.release=${VERSION}" -o /out/keyturn ./cmd/keyturn \
 && mkdir -p /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/keyturn /keyturn
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
WORKDIR /data
VOLUME /data
ENV KEYTURN_LISTEN=0.0.0.0:8080 \
    KEYTURN_ADMIN_LISTEN=127.0.0.1:9090 \
    KEYTURN_AUDIT_LOG=stdout \
    KEYTURN_SHUTDOWN_DELAY=5s
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=6s --start-period=10s CMD ["/keyturn", "healthcheck"]
ENTRYPOINT ["/keyturn"]
CMD ["serve"]
