import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { ensureCommands, findCommand } from './harness/debian-packages.ts'
import { createImage, readImageFolder } from './harness/images.ts'
import { createOras } from './harness/oras.ts'
import { runCommand } from './harness/run-command.ts'
import { basic, startSystem } from './harness/system.ts'

/*
 * Attaches and discovers signatures and SBOMs as oras does. Debian has no oras package: the tests send its requests.
 * The image is copied with skopeo.
 */

const SIGNATURE = 'application/vnd.cncf.notary.signature'
const SBOM = 'application/spdx+json'
const REPORT = 'application/vnd.example.report+json'

test(
  'oras attaches and discovers referrers',
  { skip: await ensureCommands({ skopeo: 'skopeo' }) },
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'oras-test-'))
    t.teardown(() => rm(folder, { recursive: true, force: true }))
    const system = await startSystem(t)
    const alice = await system.createUser('alice', ['team'])
    const bob = await system.createUser('bob', ['other'])
    const oras = createOras(system, alice, 'team/app')

    const skopeo = (...args: string[]) => {
      const env = { REGISTRY_AUTH_FILE: join(folder, 'auth.json') }
      return runCommand(findCommand('skopeo')!, ['--insecure-policy', ...args], {
        env,
        input: alice.password,
      })
    }
    const remote = (tag: string) => `docker://${system.host}/team/app:${tag}`
    const image = await createImage(join(folder, 'made'), { seed: 'oras', layers: 2, layerBytes: 1000 })
    await skopeo('login', '--tls-verify=false', '-u', 'alice', '--password-stdin', system.host)
    await skopeo('copy', '--dest-tls-verify=false', `oci:${join(folder, 'made')}:latest`, remote('v1'))
    const { digest } = image.descriptor

    await t.test('oras attach adds referrers, and oras discover shows the tree', async (t) => {
      t.strictSame(await oras.discover('v1'), { digest, referrers: [] }, 'the image has no referrers yet')
      const signature = await oras.attach('v1', SIGNATURE, 'signature', Buffer.from('signed'))
      const sbom = await oras.attach(digest, SBOM, 'sbom.json', Buffer.from('{"spdx":1}'))
      const signedSbom = await oras.attach(
        sbom,
        SIGNATURE,
        'sbom.sig',
        Buffer.from('the signature of the SBOM'),
      )
      const report = await oras.attach(signedSbom, REPORT, 'report.json', Buffer.from('{}'))

      const leaf = (digest: string, artifactType: string, ...referrers: object[]) => ({
        digest,
        artifactType,
        referrers,
      })
      const ofSbom = leaf(sbom, SBOM, leaf(signedSbom, SIGNATURE, leaf(report, REPORT)))
      // Referrers come in the order of their digests.
      const both = [leaf(signature, SIGNATURE), ofSbom].toSorted((a, b) => (a.digest < b.digest ? -1 : 1))
      t.strictSame(await oras.discover('v1'), { digest, referrers: both })
      t.strictSame(await oras.discover(digest, SBOM), { digest, referrers: [ofSbom] }, 'one artifact type')
      t.strictSame(await oras.discover('v1', REPORT), { digest, referrers: [] }, 'another artifact type')
      t.strictSame(
        await oras.discover(sbom),
        { digest: sbom, referrers: ofSbom.referrers },
        'the referrers of a referrer',
      )

      t.strictSame(await oras.pull(sbom), { 'sbom.json': '{"spdx":1}' })
      t.strictSame(await oras.pull(signedSbom), { 'sbom.sig': 'the signature of the SBOM' })
    })

    await t.test('oras attach does not change the image and its tags', async (t) => {
      const { stdout } = await skopeo('list-tags', '--tls-verify=false', `docker://${system.host}/team/app`)
      t.strictSame(JSON.parse(stdout).Tags, ['v1'], 'no fallback tag was pushed')
      await skopeo('copy', '--src-tls-verify=false', remote('v1'), `dir:${join(folder, 'pulled')}`)
      t.equal((await readImageFolder(join(folder, 'pulled'))).digest, digest)
    })

    await t.test('oras discover does not show deleted referrers', async (t) => {
      const before = await oras.discover('v1', SBOM)
      const [sbom] = before.referrers
      t.equal((await oras.delete(sbom?.digest ?? '')).status, 202)
      t.strictSame(await oras.discover('v1', SBOM), { digest, referrers: [] })
      t.equal((await oras.discover('v1')).referrers.length, 1, 'the signature is not shown')
      t.equal(
        (await oras.discover(sbom?.referrers[0]?.digest ?? '')).referrers.length,
        1,
        'the signature is deleted',
      )
    })

    await t.test('other users discover referrers of a global repository but attach none', async (t) => {
      const stranger = createOras(system, bob, 'team/app')
      await t.rejects(stranger.discover('v1'), { message: 'HEAD v1: 401' })
      const put = await fetch(`${system.url}/image-manager/api/v1/repositories/team/app`, {
        method: 'PUT',
        headers: { authorization: basic(alice) },
        body: '{"scope":"global"}',
      })
      t.equal(put.status, 200)
      t.strictSame(await stranger.discover('v1'), await oras.discover('v1'))
      const forging = stranger.attach('v1', SIGNATURE, 'forged', Buffer.from('x'))
      await t.rejects(forging, { message: /^401 instead of 202/ })
      t.equal((await oras.discover('v1')).referrers.length, 1)
    })
  },
)
