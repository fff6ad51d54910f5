export interface BetweenOptions {
  readonly pidFile: string
  readonly tempDir: string
  /** For each service: the port that other services connect to, and the internal ports of its replicas. */
  readonly services: readonly { readonly port: number; readonly servers: string }[]
}

/**
 * The configuration of the nginx between the services: one address for all replicas of a service, as a Kubernetes
 * Service has. It listens on loopback only. The nginx in front of the services is another process, which knows no
 * internal port.
 */
export function betweenConfig({ pidFile, tempDir, services }: BetweenOptions): string {
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
}
`
}

function serviceConfig({ port, servers }: BetweenOptions['services'][number]): string {
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
