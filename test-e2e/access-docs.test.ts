import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { SMALL_HARBOR, startHarbor } from '../deploy/local/test/fixtures/harbor.ts'
import { waitForAllReplicas } from './harness/all-replicas.ts'
import { ask } from './harness/ask.ts'
import { ensureCommands } from './harness/debian-packages.ts'
import { makeImage } from './harness/manifests.ts'
import { createRegistryClient } from './harness/registry-client.ts'
import { runCommand } from './harness/run-command.ts'
import { basic, startSystem } from './harness/system.ts'

/* Runs the commands of docs/access.md and docs/migrating.md as they are printed; only URLs and files are replaced. */

/** The longest time until a change of a grant takes effect on every replica. */
const EFFECTIVE_MS = 5000

const page = readFileSync(new URL('../docs/access.md', import.meta.url), 'utf8')
const commands = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, text]) => text ?? '')
const missing = await ensureCommands({ curl: 'curl' })

t.test(
  'every command of docs/access.md gives the rights that the page describes',
  { skip: missing },
  async (t) => {
    const system = await startSystem(t)
    const { username, password } = system.admin
    const [jane, omar, olga] = [
      await system.createUser('jane', []),
      await system.createUser('omar', []),
      await system.createUser('olga', []),
    ]
    const env = {
      ADMIN: `${username}:${password}`,
      OLGA: `${olga.username}:${olga.password}`,
      JANE: `${jane.username}:${jane.password}`,
      // curl trusts the stack's authority by CURL_CA_BUNDLE, Node by this variable.
      NODE_EXTRA_CA_CERTS: process.env['CURL_CA_BUNDLE'] ?? '',
    }
    const run = async (command: string) => {
      const script = command.replaceAll('https://registry.example.com', system.url)
      return (await runCommand('sh', ['-euc', script], { env })).stdout
    }
    const [onePerson = '', team = '', byOwner = '', contractor = '', ...more] = commands
    const [explain = '', whatIf = '', who = '', keepInGit = '', ...others] = more
    t.strictSame(others, [], 'every block of the page is run')

    const image = makeImage()
    const root = createRegistryClient(system.url, basic(system.admin))
    for (const name of ['team/app', 'team/other']) await root.push(name, image, '1')
    const pull = async (who: typeof jane, name: string) =>
      (await createRegistryClient(system.url, basic(who)).send('GET', `/v2/${name}/manifests/1`)).status
    const catalogOf = async (who: typeof jane) =>
      (await createRegistryClient(system.url, basic(who)).send('GET', '/v2/_catalog')).json.repositories
    const push = async (who: typeof jane, name: string, tag: string) => {
      const client = createRegistryClient(system.url, basic(who))
      return client.push(name, makeImage(), tag).then(
        () => 201,
        (error: unknown) => Number(/\b\d{3}\b/.exec(String(error))?.[0]),
      )
    }

    await t.test('docs/access.md: one repository for one person', async (t) => {
      t.equal(await pull(jane, 'team/app'), 403)
      await run(onePerson)
      t.equal(await waitForAllReplicas(() => pull(jane, 'team/app'), 200, EFFECTIVE_MS), 200)
      t.equal(await pull(jane, 'team/other'), 403)
      t.equal(await push(jane, 'team/app', '2'), 403)
      t.strictSame(await catalogOf(jane), ['team/app'])
    })

    await t.test('docs/access.md: a team that manages itself', async (t) => {
      await run(team)
      t.equal(await push(jane, 'lab/tool', '1'), 201)
      t.equal(await push(olga, 'lab/tool', '2'), 201)
      t.equal(await push(jane, 'lab/tool', '3'), 201)
      const deletion = (who: typeof jane) =>
        createRegistryClient(system.url, basic(who)).send('DELETE', '/v2/lab/tool/manifests/1')
      t.equal((await deletion(jane)).status, 403, 'a developer deletes nothing')
      t.equal((await deletion(olga)).status, 202)
      const { items } = JSON.parse(await run(byOwner))
      t.equal(items.length, 2)
    })

    await t.test(
      'docs/access.md: a contractor has access for a limited time and from the office only',
      async (t) => {
        await run(contractor)
        t.equal(await push(omar, 'team/app', 'v1'), 201)
        t.equal(await push(omar, 'team/app', 'latest'), 403)
        t.equal(await pull(omar, 'team/app'), 200)
      },
    )

    const printed = [...page.matchAll(/^```json\n(.*?)^```$/gms)].map(([, text]) => text ?? '')
    const [mappings = '', refusal = '', explanation = '', ...otherJson] = printed
    t.strictSame(otherJson, [], 'every JSON text of the page is compared or sent')

    await t.test('docs/access.md: a group takes its members from elsewhere', async (t) => {
      const put = { method: 'PUT', as: system.admin, body: mappings }
      const { status, json } = await ask(system, '/groups/lab-developers', put)
      t.equal(status, 200)
      t.match(json, {
        name: 'lab-developers',
        mappings: [{ directory: /^cn=developers/i }, { group: 'developers' }],
      })
    })

    await t.test('docs/access.md: why was I refused?', async (t) => {
      const client = createRegistryClient(system.url, basic(jane))
      const refused = await client.send('POST', '/v2/team/app/blobs/uploads/')
      t.equal(refused.status, 403)
      t.strictSame(refused.json, JSON.parse(refusal.replaceAll('https://registry.example.com', system.url)))
      const explained = {
        account: { kind: 'user', name: 'jane' },
        allowed: false,
        because: [{ kind: 'grant', repositories: 'team/app', role: 'reader' }],
        missing: /can grant the role developer/,
      }
      const url = new URL(refused.json.errors[0].detail.explain)
      const { because, ...answer } = (await client.send('GET', url.pathname + url.search)).json
      const documented = JSON.parse(explanation)
      const { id } = documented.because[0]
      t.strictSame({ ...answer, because: because.map((reason: object) => ({ ...reason, id })) }, documented)
      for (const answer of (await run(explain)).split(/(?<=\})(?=\{"account")/)) {
        t.match(JSON.parse(answer), explained)
      }
      t.match(JSON.parse(await run(whatIf)), { allowed: true, because: [{ kind: 'grant', id: 'with' }] })
      const { items } = JSON.parse(await run(who))
      const found = items.map((item: { account: { name: string }; allowed: boolean }) => [
        item.account.name,
        item.allowed,
      ])
      const expected = [
        ['omar', false],
        [system.admin.username, true],
      ]
      t.strictSame(found.toSorted(), expected.toSorted(), 'the networks of omar are not asked about')
    })

    await t.test('docs/access.md: keeping access in git', async (t) => {
      const [, file = ''] = /^```yaml\n(.*?)^```$/ms.exec(page) ?? []
      const folder = t.testdir({ 'access.yaml': file, 'admin-password': password })
      // npm runs the command in the folder of the repository.
      const command = keepInGit
        .replaceAll(/\b(access\.yaml|passwords\.txt)\b/g, (name) => join(folder, name))
        .replace('=admin-password', `=${join(folder, 'admin-password')}`)
        .replace('APPLY_USERNAME=admin', `APPLY_USERNAME=${username}`)
      const printed = await run(command)
      t.match(printed, /grants of the namespace lab\n {2}\+ grant to group lab-testers: pull of lab\/tool\n/)
      t.match(printed, /\n {2}\+ rule for immutable tags releases\n/)
      t.match(
        printed,
        /nothing was applied \(--dry-run\)[^]*applied: [^]*nothing to change: the server matches/,
      )
      const [, secret = ''] =
        /^lab-ci (rmt_\w+)$/m.exec(readFileSync(join(folder, 'passwords.txt'), 'utf8')) ?? []
      t.equal(
        await push({ username: 'lab-ci', password: secret }, 'lab/tool', '4'),
        201,
        'the new token works',
      )
    })

    await t.test('docs/migrating.md: every import works as printed', async (t) => {
      const migrating = readFileSync(new URL('../docs/migrating.md', import.meta.url), 'utf8')
      const blocks = (language: string) =>
        [...migrating.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map(
          ([, text]) => text ?? '',
        )
      const [dockerAuth = '', htpasswd = '', harbor = '', ...unknown] = blocks('sh')
      t.strictSame(unknown, [], 'every block of the page is run')
      const [config = ''] = blocks('yaml')
      const [, hash = ''] = /"(\$2y.*?)"/.exec(config) ?? []
      const folder = t.testdir({
        'auth_config.yml': config,
        'registry.htpasswd': `rosa:${hash}\nemil:$apr1$Fw1ZRUkr$2Y0rkZoWDhF5i5PS5qDHN0\n`,
        'harbor-password': 'Harbor12345',
      })
      const { url } = await startHarbor(t, SMALL_HARBOR)
      const settings = {
        PUBLIC_URL: system.url,
        APPLY_USERNAME: username,
        APPLY_PASSWORD: password,
        NODE_EXTRA_CA_CERTS: env.NODE_EXTRA_CA_CERTS,
      }
      const runHere = async (command: string) => {
        const script = command
          .replace('https://harbor.example.com', url)
          .replaceAll(/[\w-]+\.(?:yaml|yml|htpasswd|txt)\b|\bharbor-password\b/g, (name) =>
            join(folder, name),
          )
        return (await runCommand('sh', ['-euc', script], { env: settings })).stdout
      }
      const account = (username: string) => ({ username, password: 'a-good-password' })

      const imported = await runHere(dockerAuth)
      t.match(
        imported,
        /acl entry 3 \(line \d+\) is not imported: store\/\* matches one path component in docker_auth/,
      )
      t.equal(await push(account('vera'), 'anywhere/app', '1'), 201, 'the old password works')
      t.equal(await push(account('otto'), 'store/till', '1'), 201)
      t.equal(await push(account('otto'), 'store/other', '1'), 403)

      t.match(await runHere(htpasswd), /user emil gets a new password/)
      t.equal(await push(account('rosa'), 'store/till', '1'), 403, 'no rights yet')
      t.match(readFileSync(join(folder, 'passwords.txt'), 'utf8'), /^emil \S+$/m)

      t.match(
        await runHere(harbor),
        /robot robot\$mirror becomes the registry token mirror with a new password/,
      )
      const secrets = readFileSync(join(folder, 'passwords.txt'), 'utf8')
      const [, helgas = ''] = /^helga (\S+)$/m.exec(secrets) ?? []
      t.equal(await push({ username: 'helga', password: helgas }, 'shop/app', '1'), 201)
    })
  },
)
