/**
 * `npm run secrets -- FOLDER`: makes, once, every secret that deploy/compose.yaml and the Kubernetes overlays take from
 * files. What is there stays as it is, but for who may read it; what must change is removed before. PUBLIC_HOST is the
 * host[:port] under which clients will come.
 */
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createSigningKeys } from '@registry-manager/auth-service/embedding'
import { ensureTls } from './stack/tls.ts'

/** Keys that make others: no container has them. */
const OURS_ALONE = new Set(['ca-key.pem', 'ca.key'])

/** Nobody else gets past the folder itself; but a container that has a file of it mounted reads that as somebody else. */
const FOR_CONTAINERS = 0o644

/** Writes a secret that is not there, lets containers read it, and answers what it is. */
function secret(folder: string, name: string, make: () => string): string {
  const file = join(folder, name)
  if (!existsSync(file)) writeFileSync(file, make())
  chmodSync(file, FOR_CONTAINERS)
  return readFileSync(file, 'utf8')
}

function openToContainers(folder: string): void {
  chmodSync(folder, 0o755)
  for (const name of readdirSync(folder)) {
    chmodSync(join(folder, name), OURS_ALONE.has(name) ? 0o600 : FOR_CONTAINERS)
  }
}

/**
 * What is wrong with a PUBLIC_HOST. The services read it as a part of a URL, the registry takes it letter by letter as
 * the issuer of tokens: so it must be written as URLs have it, in small letters and without HTTPS' own port.
 */
function faultOf(publicHost: string): string | undefined {
  const url = `https://${publicHost}/`
  if (/[/?#@\\\s]/.test(publicHost) || !URL.canParse(url))
    return `PUBLIC_HOST is ${publicHost}: it must be host[:port], such as registry.example.com`
  const { host } = new URL(url)
  return host === publicHost
    ? undefined
    : `PUBLIC_HOST is ${publicHost}: write it as ${host}, here and everywhere`
}

async function makeSecrets(folder: string, publicHost: string): Promise<void> {
  mkdirSync(folder, { recursive: true })
  // It may have been there.
  chmodSync(folder, 0o700)
  const random = () => randomBytes(32).toString('base64url')
  for (const name of ['service-credential', 'upload-secret', 'registry-http-secret'])
    secret(folder, name, random)
  secret(folder, 'admin-password', () => randomBytes(12).toString('base64url'))
  const password = secret(folder, 'postgres-password', random)
  secret(folder, 'database-url', () => `postgres://registry:${password}@postgres:5432/registry`)

  const keys = join(folder, 'signing-keys')
  await createSigningKeys(keys)
  openToContainers(keys)

  const tls = join(folder, 'tls')
  const { hostname } = new URL(`https://${publicHost}`)
  // A certificate of somebody else's may have been put there.
  const isOurs = existsSync(join(tls, 'ca.key')) || !existsSync(join(tls, 'server.crt'))
  if (isOurs) await ensureTls(tls, [...new Set([hostname, 'localhost', '127.0.0.1'])])
  openToContainers(tls)
}

const [folder] = process.argv.slice(2)
if (folder === undefined) {
  process.stderr.write('npm run secrets -- FOLDER: which folder?\n')
  process.exit(2)
}
// An empty one is none, as compose has it.
const PUBLIC_HOST = process.env['PUBLIC_HOST'] || 'localhost:8443'
const fault = faultOf(PUBLIC_HOST)
if (fault !== undefined) {
  process.stderr.write(`${fault}\n`)
  process.exit(2)
}
await makeSecrets(resolve(folder), PUBLIC_HOST)
process.stdout.write(`${folder} holds the secrets for ${PUBLIC_HOST}: keep it, and keep it to yourself
  the first administrator's password   ${join(folder, 'admin-password')}
  what clients are to trust            ${join(folder, 'tls', 'ca.crt')}
`)
