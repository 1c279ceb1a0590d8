# The same image for every step, so that one version of Node warms the cache and uses it.
FROM node:24-bookworm-slim AS base
WORKDIR /app

FROM base AS dependencies
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts

FROM base
ENV NODE_ENV=production
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json ./
COPY src ./src

# Node strips the types of each file once, here, and keeps what it compiled: processes start faster and smaller, on a
# read-only root as well. The service is really started and drained for it; that fails the build where it would fail you.
RUN install -d -o node -g node node_modules/.cache data
USER node
RUN for workers in 1 2; do \
      PORT=0 WORKERS=$workers node src/cluster/main.js > /tmp/log & pid=$!; \
      until grep -q '"msg":"ready"' /tmp/log; do kill -0 $pid || exit 1; sleep 0.1; done; \
      kill -TERM $pid && wait $pid || exit 1; \
    done; rm -rf /tmp/log data/*; node src/server/healthcheck.js; test $? -eq 1
USER root
RUN chown -R root:root node_modules/.cache

# Events live longer than a container. A volume is writable where the root is not.
VOLUME /app/data

# By number, so that Kubernetes can see that it is not root.
USER 1000:1000
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 CMD ["node", "src/server/healthcheck.js"]

# No npm and no shell between the signal and the service. The heaps of all workers together get so much of the container's
# memory; the rest is for buffers, code and the supervisor.
CMD ["node", "--max-old-space-size-percentage=60", "src/cluster/main.js"]
