/** A process whose health and metrics the internal port exposes. */
export interface Watched {
  readonly name: string
  readonly internalPort: number
}

export interface InternalBalancerOptions {
  readonly pidFile: string
  readonly tempDir: string
  /** For each service: the port that other services connect to, and the internal ports of its replicas. */
  readonly services: readonly { readonly port: number; readonly servers: string }[]
  /** The loopback port for monitoring, and the processes that it exposes. */
  readonly internalPort: number
  readonly watched: readonly Watched[]
}

/**
 * Returns the configuration of the nginx between the services. It gives all replicas of a service one address, as a
 * Kubernetes Service does, and listens on loopback only. The public nginx is another process and knows no internal
 * port.
 */
export function internalBalancerConfig({
  pidFile,
  tempDir,
  services,
  internalPort,
  watched,
}: InternalBalancerOptions): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `
worker_processes 1;
pid ${pidFile};
error_log stderr warn;
events {
    worker_connections 4096;
}
http {
    ${temporary.map((name) => `${name}_temp_path ${tempDir}/${name};`).join('\n    ')}
    access_log off;
    error_log stderr emerg;
    client_max_body_size 0;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_request_buffering off;
    proxy_max_temp_file_size 0;
    proxy_connect_timeout 1s;
    proxy_read_timeout 600s;
    proxy_next_upstream error timeout;
    proxy_next_upstream_timeout 3s;
    ${services.map(serviceConfig).join('\n    ')}
    ${watchConfig(internalPort, watched)}
}
`
}

/** Exposes probes and metrics of each process, and nothing else of its internal port. */
function watchConfig(port: number, watched: readonly Watched[]): string {
  const paths = watched.flatMap(({ name, internalPort }) =>
    ['livez', 'readyz', 'metrics'].map((probe) => [`/${name}/${probe}`, internalPort, probe] as const),
  )
  const locations = paths.map(
    ([path, internal, probe]) =>
      `location = ${path} { limit_except GET { deny all; } proxy_pass http://127.0.0.1:${internal}/${probe}; }`,
  )
  return `server {
        listen 127.0.0.1:${port};
        default_type text/plain;
        location = / { return 200 "${paths.map(([path]) => `${path}\\n`).join('')}"; }
        ${locations.join('\n        ')}
        location / { return 404 "no such path\\n"; }
    }`
}

function serviceConfig({ port, servers }: InternalBalancerOptions['services'][number]): string {
  return `upstream internal-${port} {
        zone internal-${port} 64k;
        ${servers}
        keepalive 32;
        keepalive_timeout 1s;
    }
    server {
        listen 127.0.0.1:${port};
        location / {
            proxy_pass http://internal-${port};
        }
    }`
}
