import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'node:tls'
import type { Test } from 'tap'
import t from 'tap'
import { until } from '@registry-manager/testing/until'
import { makeForeignPair } from '../../deploy/local/test/fixtures/foreign-pair.ts'
import { startAndEnd } from '../harness/launcher.ts'
import type { System } from '../harness/system.ts'
import { STACK, startStack } from '../harness/system.ts'

/** docs/operating.md promises 15 s for a renewed certificate. A busy machine may need longer. */
const RELOAD_MS = 60_000

/** Returns the organization and a digest of the certificate that a system serves on a new connection. */
async function servedBy({ host }: System): Promise<{ organization: string | undefined; digest: string }> {
  const socket = connect({ port: Number(host.split(':')[1]), host: 'localhost', rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const { raw, subject } = socket.getPeerCertificate()
  socket.destroy()
  return { organization: subject.O?.toString(), digest: createHash('sha256').update(raw).digest('hex') }
}

/** Waits until another certificate is served. Throws if that takes too long. */
async function untilServedDiffers(system: System, from: string): Promise<string> {
  const end = Date.now() + RELOAD_MS
  for (;;) {
    const { digest } = await servedBy(system)
    if (digest !== from) return digest
    if (Date.now() > end) throw new Error(`the old certificate is still served:\n${system.output()}`)
    await sleep(200)
  }
}

async function makeFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'registry-manager-certificate-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

t.test("nginx serves the operator's certificate, and a renewed one within 15 seconds", async (t) => {
  const folder = await makeFolder(t)
  const [first, second, third] = [1, 2, 3].map((number) => {
    const versions = join(folder, String(number))
    mkdirSync(versions)
    const pair = makeForeignPair(versions, 'localhost')
    writeFileSync(join(versions, 'fullchain.pem'), pair['server.crt'])
    writeFileSync(join(versions, 'privkey.pem'), pair['server.key'])
    return pair
  })
  // The layout of certbot: links in `live` that a renewal points to new files.
  const live = join(folder, 'live')
  mkdirSync(live)
  const pointTo = (version: number, name: string) => {
    symlinkSync(join(folder, String(version), name), join(live, `${name}.new`))
    renameSync(join(live, `${name}.new`), join(live, name))
  }
  for (const name of ['fullchain.pem', 'privkey.pem']) pointTo(1, name)
  const system = await startStack(t, {
    env: {
      REPLICAS: '1',
      TLS_CERTIFICATE: join(live, 'fullchain.pem'),
      TLS_CERTIFICATE_KEY: join(live, 'privkey.pem'),
    },
  })
  const before = await servedBy(system)
  t.equal(before.organization, 'Example company')
  t.notMatch(system.output(), /signed by/, 'clients need not trust an authority of the product')

  for (const name of ['privkey.pem', 'fullchain.pem']) pointTo(2, name)
  const renewed = await untilServedDiffers(system, before.digest)
  await until(() => system.output().includes('the TLS certificate changed: nginx serves'))

  // An incomplete renewal: the old certificate is served until all files are there.
  pointTo(3, 'privkey.pem')
  await until(() => system.output().includes('is not loaded'), 'the incomplete renewal is reported')
  t.match(
    system.output(),
    /the changed TLS certificate is not loaded: .*privkey\.pem is not the private key of/,
  )
  t.equal((await servedBy(system)).digest, renewed, 'the old certificate is still served')
  pointTo(3, 'fullchain.pem')
  await untilServedDiffers(system, renewed)

  for (const [number, pair] of [first, second, third].entries()) {
    t.equal(readFileSync(join(folder, String(number + 1), 'privkey.pem'), 'utf8'), pair?.['server.key'])
  }
})

t.test(
  "a certificate in the data folder's tls is served and kept, byte for byte, at every start",
  async (t) => {
    const dataDir = await makeFolder(t)
    const scratch = await makeFolder(t)
    const own = makeForeignPair(scratch, 'registry.example')
    mkdirSync(join(dataDir, 'tls'))
    for (const [name, text] of Object.entries(own)) writeFileSync(join(dataDir, 'tls', name), text)
    const system = await startStack(t, { dataDir, env: { REPLICAS: '1' } })
    const { organization, digest } = await servedBy(system)
    t.equal(organization, 'Example company')
    t.match(
      system.output(),
      /warning: .*server\.crt is not valid for localhost, only for DNS:registry\.example/,
    )
    for (const [name, text] of Object.entries(own)) {
      t.equal(readFileSync(join(dataDir, 'tls', name), 'utf8'), text, `${name} is kept`)
    }

    // lego writes new content into the same files, the key last.
    const next = makeForeignPair(scratch, 'registry.example')
    for (const name of ['server.crt', 'server.key'] as const)
      writeFileSync(join(dataDir, 'tls', name), next[name])
    await untilServedDiffers(system, digest)

    t.equal(await system.stop(), 0)
    rmSync(join(dataDir, 'tls', 'server.key'))
    const refused = await startAndEnd(STACK, {
      DATA_DIR: dataDir,
      HTTPS_PORT: '18443',
      REGISTRY_PORT: '18444',
      HTTP_PORT: '18445',
      INTERNAL_PORT: '18446',
    })
    t.match(refused.lines.join('\n'), /server\.key is not a readable PEM private key/)
    t.equal(
      readFileSync(join(dataDir, 'tls', 'server.crt'), 'utf8'),
      next['server.crt'],
      'the certificate is still kept',
    )
  },
)
