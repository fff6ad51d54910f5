/**
 * `npm run secrets -- FOLDER` creates the secret files of deploy/compose.yaml and the Kubernetes overlays. It never
 * replaces an existing file, with one exception: a TLS certificate of our own authority that expires soon or lacks
 * PUBLIC_HOST. PUBLIC_HOST is the host[:port] that clients use.
 */
import { randomBytes } from 'node:crypto'
import { lstatSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createSigningKeys } from '@registry-manager/auth-service/embedding'
import { explainError } from '@registry-manager/http'
import { changeMode, ensureOwnFolder, makeFolder, readIfThere, writeNewFile } from './own-files.ts'
import { findCertificateWarnings } from './stack/certificate-pair.ts'
import { ensureTls } from './stack/tls.ts'

/** Mode of files that a container reads as another user. The folder above them is open to its owner only. */
const FOR_CONTAINERS = 0o644

/** Secrets of random characters. */
const SECRETS = ['service-credential', 'upload-secret', 'registry-http-secret', 'admin-password']
const OURS = {
  names: new Set([...SECRETS, 'postgres-password', 'database-url', 'signing-keys', 'tls']),
  proofs: ['service-credential', 'upload-secret', 'tls/server.crt'],
}

/** The mode of each file. No container reads the private keys of the authorities. */
const MODES = {
  'signing-keys': {
    'ca-key.pem': 0o600,
    'ca.pem': FOR_CONTAINERS,
    'current.pem': FOR_CONTAINERS,
    'next.pem': FOR_CONTAINERS,
    'retired.pem': FOR_CONTAINERS,
  },
  tls: {
    'ca.key': 0o600,
    'ca.crt': FOR_CONTAINERS,
    'server.crt': FOR_CONTAINERS,
    'server.key': FOR_CONTAINERS,
  },
} as const

/** Creates a secret if it does not exist, makes it readable to containers, and returns it. */
function secret(folder: string, name: string, make: () => string): string {
  const file = join(folder, name)
  if (readIfThere(file) === undefined) writeNewFile(file, make())
  changeMode(file, FOR_CONTAINERS)
  const value = readIfThere(file)
  if (!value) throw new Error(`${file} is empty: restore it, or remove it to generate a new one`)
  return value
}

/** Sets the modes of the files that containers read. Other files in these folders keep theirs. */
function openToContainers(folder: string, subfolder: keyof typeof MODES): void {
  changeMode(join(folder, subfolder), 0o755)
  for (const [name, mode] of Object.entries(MODES[subfolder])) {
    const file = join(folder, subfolder, name)
    const found = lstatSync(file, { throwIfNoEntry: false })
    if (found?.isSymbolicLink()) {
      throw new Error(
        `${file} is a symbolic link, which does not work inside a container: copy the file itself`,
      )
    }
    if (found !== undefined) changeMode(file, mode)
  }
}

/**
 * Returns what is wrong with a PUBLIC_HOST; undefined if it is valid. The registry compares it byte by byte with the
 * issuer of tokens, which is the host of a URL: lower case, without the default port of HTTPS.
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

/** Creates the missing secrets. Returns lines for the operator. */
async function makeSecrets(folder: string, publicHost: string): Promise<readonly string[]> {
  ensureOwnFolder(folder, OURS)
  const random = () => randomBytes(32).toString('base64url')
  for (const name of SECRETS.filter((name) => name !== 'admin-password')) secret(folder, name, random)
  secret(folder, 'admin-password', () => randomBytes(12).toString('base64url'))
  const password = secret(folder, 'postgres-password', random)
  secret(folder, 'database-url', () => `postgres://registry:${password}@postgres:5432/registry`)

  const keys = join(folder, 'signing-keys')
  makeFolder(keys)
  await createSigningKeys(keys)
  openToContainers(folder, 'signing-keys')

  const hostname = new URL(`https://${publicHost}`).hostname.replace(/^\[(.*)\]$/, '$1')
  const tls = await ensureTls(join(folder, 'tls'), [...new Set([hostname, 'localhost', '127.0.0.1'])])
  openToContainers(folder, 'tls')
  if (tls.isOurs) return [`  clients must trust                   ${tls.authority}`]
  return [
    `  your own certificate is kept         ${tls.certificate}`,
    ...findCertificateWarnings(tls.certificate, hostname).map((line) => `  warning: ${line}`),
  ]
}

const [folder] = process.argv.slice(2)
if (folder === undefined) {
  process.stderr.write('npm run secrets -- FOLDER: name the folder\n')
  process.exit(2)
}
// Compose passes an empty string for a variable that is not set.
const PUBLIC_HOST = process.env['PUBLIC_HOST'] || 'localhost:8443'
const fault = faultOf(PUBLIC_HOST)
if (fault !== undefined) {
  process.stderr.write(`${fault}\n`)
  process.exit(2)
}
try {
  const lines = await makeSecrets(resolve(folder), PUBLIC_HOST)
  process.stdout.write(`${folder} holds the secrets for ${PUBLIC_HOST}: back it up, and keep it secret
  the first administrator's password   ${join(folder, 'admin-password')}
${lines.join('\n')}
`)
} catch (error) {
  process.stderr.write(`the secrets in ${folder} cannot be created: ${explainError(error)}\n`)
  process.exit(1)
}
