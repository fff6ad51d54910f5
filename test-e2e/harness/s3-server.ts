import { createHash, createHmac } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { findCeph } from '../../deploy/local/ceph-binaries.js'
import { startChild } from '../../deploy/local/child-process.ts'
import { freePort } from '../../deploy/local/free-port.ts'
import { runCommand } from './run-command.ts'
import type { Teardown } from './server-process.ts'

/** A real S3 server with an empty bucket. */
export interface S3Server {
  /** Such as `http://127.0.0.1:7480`. Buckets are the first component of a path. */
  readonly url: string
  readonly bucket: string
  readonly accessKey: string
  readonly secretKey: string
}

type Ceph = ReturnType<typeof findCeph>

const REGION = 'us-east-1'
/** The ids of a cluster that exists for one test. */
const [FSID, OSD] = ['11111111-2222-3333-4444-555555555555', '22222222-2222-3333-4444-555555555555']

let found: Ceph | undefined
const ceph = (): Ceph =>
  (found ??= findCeph(process.env, (line: string) => process.stderr.write(`${line}\n`)))

/** Returns the reason why no S3 server can run here, or false. */
export function s3IsMissing(): string | false {
  return ceph().fault ?? false
}

/**
 * Starts Ceph's radosgw, with a monitor and an object store in memory, on loopback ports until the test ends. Needs no
 * privileges.
 */
export async function startS3Server(scope: Teardown): Promise<S3Server> {
  const { commands = '', libraries = '', plugins = '' } = ceph()
  const folder = await mkdtemp(join(tmpdir(), 's3-'))
  scope.teardown(() => rm(folder, { recursive: true, force: true }))
  for (const name of ['mon', 'osd', 'rgw', 'run']) await mkdir(join(folder, name))
  const [port, monPort] = [await freePort(), await freePort()]
  const url = `http://127.0.0.1:${port}`
  const config = join(folder, 'ceph.conf')
  await writeFile(config, configuration(folder, { port, monPort, plugins }))

  const env = { ...process.env, LD_LIBRARY_PATH: libraries, CEPH_CONF: config }
  const command = (name: string) => join(commands, name)
  const run = (name: string, ...args: string[]) => runCommand(command(name), args, { env })
  const start = async (name: string, args: readonly string[], isReady: () => Promise<boolean>) => {
    // KILL: nothing of this store is kept.
    const log = join(folder, `${name}.out`)
    const child = {
      name,
      command: command(name),
      args,
      env,
      log,
      isReady,
      stopBy: [['SIGKILL', 5000]] as const,
    }
    scope.teardown((await startChild(child)).stop)
  }

  const monmap = join(folder, 'monmap')
  const address = `[v2:127.0.0.1:${monPort}]`
  await run('monmaptool', '--create', '--fsid', FSID, '--enable-all-features', '--addv', 'a', address, monmap)
  await run('ceph-mon', '--mkfs', '-i', 'a', '--monmap', monmap)
  await start('ceph-mon', ['-f', '-i', 'a'], async () => true)
  // Waits for the monitor by itself.
  await run('ceph-osd', '--mkfs', '-i', '0', '--osd-uuid', OSD)
  await start('ceph-osd', ['-f', '-i', '0'], async () =>
    (await logOf(folder, 'osd.0')).includes('state: booting -> active'),
  )
  await start('radosgw', ['-f', '-n', 'client.rgw'], async () => {
    const response = await fetch(url).catch(() => undefined)
    return (await response?.text())?.includes('ListAllMyBucketsResult') === true
  })
  const [accessKey, secretKey] = ['key-of-the-tests', 'secret-of-the-tests']
  const user = [
    '--uid=tests',
    '--display-name=tests',
    `--access-key=${accessKey}`,
    `--secret-key=${secretKey}`,
  ]
  await run('radosgw-admin', '-n', 'client.rgw', 'user', 'create', ...user)
  const server = { url, bucket: 'images', accessKey, secretKey }
  await createBucket(server)
  return server
}

const logOf = (folder: string, name: string) => readFile(join(folder, `${name}.log`), 'utf8').catch(() => '')

function configuration(
  folder: string,
  { port, monPort, plugins }: { port: number; monPort: number; plugins: string },
): string {
  return `
[global]
fsid = ${FSID}
mon host = v2:127.0.0.1:${monPort}/0
auth cluster required = none
auth service required = none
auth client required = none
# radosgw's default is "secure", which requires cephx.
ms mon client mode = crc
ms bind msgr1 = false
public network = 127.0.0.0/8
run dir = ${join(folder, 'run')}
admin socket =
log file = ${folder}/$name.log
mon cluster log file = ${join(folder, 'cluster.log')}
crash dir = ${join(folder, 'run')}
plugin dir = ${dirname(plugins)}
erasure code dir = ${join(plugins, 'erasure-code')}
osd class dir = ${join(dirname(plugins), 'rados-classes')}
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
mon allow pool size one = true
# Each of radosgw's pools needs two proposals, of one second each by default.
paxos propose interval = 0.02
paxos min wait = 0.01
[mon]
mon data = ${join(folder, 'mon')}
mon data avail crit = 1
[osd]
osd data = ${join(folder, 'osd')}
osd objectstore = memstore
memstore device bytes = 2147483648
[client]
rgw frontends = beast endpoint=127.0.0.1:${port} tcp_nodelay=1
rgw data = ${join(folder, 'rgw')}
rgw thread pool size = 32
`
}

/** Source: AWS Signature Version 4, "Create a signed AWS API request". */
async function createBucket({ url, bucket, accessKey, secretKey }: S3Server): Promise<void> {
  const time = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '')
  const scope = `${time.slice(0, 8)}/${REGION}/s3/aws4_request`
  const headers = {
    host: new URL(url).host,
    'x-amz-content-sha256': 'UNSIGNED-PAYLOAD',
    'x-amz-date': time,
  }
  const names = Object.keys(headers).join(';')
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`)
  const request = ['PUT', `/${bucket}`, '', lines.join(''), names, 'UNSIGNED-PAYLOAD'].join('\n')
  const sha256 = createHash('sha256').update(request).digest('hex')
  const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest()
  const key = scope.split('/').reduce<string | Buffer>(hmac, `AWS4${secretKey}`)
  const signature = hmac(key, ['AWS4-HMAC-SHA256', time, scope, sha256].join('\n')).toString('hex')
  const credential = `Credential=${accessKey}/${scope}, SignedHeaders=${names}, Signature=${signature}`
  const authorization = `AWS4-HMAC-SHA256 ${credential}`
  const response = await fetch(`${url}/${bucket}`, { method: 'PUT', headers: { ...headers, authorization } })
  if (!response.ok) throw new Error(`PUT /${bucket}: ${response.status} ${await response.text()}`)
}
