import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../deploy/local/free-port.ts'
import { startNginx } from '../../deploy/local/stack/nginx.ts'
import { respondsWith, startChild } from '../child.ts'
import { atEnd, temporaryFolder } from '../cleanup.ts'
import { registryBinary, startBareRegistry } from '../registries.ts'
import type { Side } from './side.ts'
import { bareSide, filePath, ignoredAuthorizations, sideOf } from './side.ts'
import { startStackProcess } from './stack-process.ts'

/**
 * Starts all compared servers. The first one is the bare registry, which the others are compared with. It has the
 * storage of the two stacks, and nginx serves the files of it. Other registries have their own storage.
 */
export async function startSides(): Promise<readonly [Side, ...Side[]]> {
  const volume = await startStackProcess('volume')
  const cache = await startStackProcess('cache', volume.images)
  const { images } = volume
  const bare = bareSide('bare registry', await startBareRegistry(registryBinary(), images), images)
  const files: Side = {
    name: 'nginx, the same file',
    origin: await startFileServer(images),
    isRegistry: false,
    images,
    authorizations: ignoredAuthorizations,
    pathOf: (_kind, digest) => filePath(digest),
  }
  return [bare, sideOf(volume, 'volume'), sideOf(cache, 'cache'), files, ...(await startOthers())]
}

/** Starts the other registries whose programs the environment names. */
async function startOthers(): Promise<Side[]> {
  const { DISTRIBUTION_BINARY: distribution, ZOT_BINARY: zot } = process.env
  const others: Side[] = []
  if (distribution) {
    const images = await temporaryFolder()
    others.push(bareSide('DISTRIBUTION_BINARY', await startBareRegistry(distribution, images), images))
  }
  if (zot) others.push(bareSide('zot', await startZot(zot)))
  return others
}

/** Starts zot without authentication and with a storage of its own. Returns its URL. */
async function startZot(binary: string): Promise<string> {
  const [folder, port] = [await temporaryFolder(), await freePort()]
  const config = join(folder, 'config.json')
  const settings = {
    distSpecVersion: '1.1.1',
    storage: { rootDirectory: join(folder, 'images'), gc: false },
    http: { address: '127.0.0.1', port: String(port) },
    log: { level: 'error' },
  }
  writeFileSync(config, JSON.stringify(settings))
  const url = `http://127.0.0.1:${port}`
  await startChild({
    name: 'zot',
    command: binary,
    args: ['serve', config],
    log: join(folder, 'log'),
    isReady: () => respondsWith(`${url}/v2/`),
  })
  return url
}

/** Starts an nginx that serves the files of a folder without any check: the limit of this machine. */
async function startFileServer(root: string): Promise<string> {
  const [folder, port] = [await temporaryFolder(), await freePort()]
  const { NGINX_BINARY = 'nginx', NGINX_LIBRARIES: libraries } = process.env
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const config = `
    worker_processes auto;
    pid ${folder}/pid;
    events { worker_connections 1024; }
    http {
      ${temporary.map((name) => `${name}_temp_path ${folder}/tmp/${name};`).join('\n      ')}
      access_log off;
      sendfile on;
      tcp_nodelay on;
      keepalive_requests 10000;
      server {
        listen 127.0.0.1:${port};
        root ${root};
      }
    }`
  mkdirSync(root, { recursive: true })
  const url = `http://127.0.0.1:${port}`
  const isReady = () => respondsWith(url, 403)
  const options = { name: 'files', binary: NGINX_BINARY, libraries, folder, config, isReady }
  const { stop } = await startNginx({ ...options, log: join(folder, 'log') }, (reason) => {
    process.stderr.write(`the nginx that serves files ended (${reason})\n`)
  })
  atEnd(stop)
  return url
}
