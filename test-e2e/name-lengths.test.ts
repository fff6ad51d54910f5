import t from 'tap'
import { pushSmallImage } from './harness/small-image.ts'
import { basic, startSystem } from './harness/system.ts'

/** The limit of distribution. Source: distribution, `RepositoryNameTotalLengthMax`. */
const LONGEST = 255

/** Returns a name of this length. Its last component is filled up. */
const nameOf = (length: number, prefix = '') => prefix + 'n'.repeat(length - prefix.length)

t.test('the registry accepts every repository name that registry-manager accepts', async (t) => {
  const system = await startSystem(t)
  const headers = { authorization: basic(system.admin), accept: '*/*' }
  // distribution's descriptor cache responds 500 for names of 246 characters and more.
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
      `a name of ${name.length} characters in ${name.split('/').length} components is accepted`,
    )
    const shown = await fetch(`${system.url}/image-manager/api/v1/repositories/${name}`, { headers })
    t.equal(shown.status, 200, 'image management shows the repository')
  }
  const begun = await fetch(`${system.url}/v2/${nameOf(LONGEST + 1, 'team/')}/blobs/uploads/`, {
    method: 'POST',
    headers,
  })
  t.equal(begun.status, 400, 'a longer name is refused before the registry gets it')
  t.match(await begun.json(), { errors: [{ code: 'NAME_INVALID' }] })
})
