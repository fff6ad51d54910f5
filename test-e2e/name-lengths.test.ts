import t from 'tap'
import { pushSmallImage } from './harness/small-image.ts'
import { basic, startSystem } from './harness/system.ts'

/** distribution's own limit. Source: distribution, `RepositoryNameTotalLengthMax`. */
const LONGEST = 255

/** A name of so many characters, whose last component fills it up. */
const nameOf = (length: number, prefix = '') => prefix + 'n'.repeat(length - prefix.length)

t.test('a repository name that we accept is one that the registry takes, up to the longest', async (t) => {
  const system = await startSystem(t)
  const headers = { authorization: basic(system.admin), accept: '*/*' }
  // From 246 characters on, distribution's descriptor cache answers 500.
  for (const name of [
    nameOf(246, 'team/'),
    nameOf(LONGEST, 'team/'),
    nameOf(LONGEST, `${'a'.repeat(100)}/${'b'.repeat(100)}/`),
    nameOf(LONGEST),
  ]) {
    const image = await pushSmallImage(system, system.admin, name, 'v1')
    const pulled = await fetch(`${system.url}/v2/${name}/manifests/v1`, { headers })
    t.equal(
      await pulled.text(),
      image.manifest,
      `${name.length} characters, ${name.split('/').length} components`,
    )
    const shown = await fetch(`${system.url}/image-manager/api/v1/repositories/${name}`, { headers })
    t.equal(shown.status, 200, 'image management shows it')
  }
  const begun = await fetch(`${system.url}/v2/${nameOf(LONGEST + 1, 'team/')}/blobs/uploads/`, {
    method: 'POST',
    headers,
  })
  t.equal(begun.status, 400, 'a longer one is refused before the registry sees it')
  t.match(await begun.json(), { errors: [{ code: 'NAME_INVALID' }] })
})
