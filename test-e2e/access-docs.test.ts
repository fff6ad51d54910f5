import { readFileSync } from 'node:fs'
import t from 'tap'
import { waitForAllReplicas } from './harness/all-replicas.ts'
import { ensureCommands } from './harness/debian-packages.ts'
import { makeImage } from './harness/manifests.ts'
import { createRegistryClient } from './harness/registry-client.ts'
import { runCommand } from './harness/run-command.ts'
import { basic, startSystem } from './harness/system.ts'

/* Runs the commands of docs/access.md as they are printed; only the URL is replaced. */

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
    }
    const run = async (command: string) => {
      const script = command.replaceAll('https://registry.example.com', system.url)
      return (await runCommand('sh', ['-euc', script], { env })).stdout
    }
    const [onePerson = '', team = '', byOwner = '', contractor = '', ...more] = commands
    const [explain = '', whatIf = '', who = '', ...others] = more
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

    await t.test('docs/access.md: a contractor, for a while, from the office', async (t) => {
      await run(contractor)
      t.equal(await push(omar, 'team/app', 'v1'), 201)
      t.equal(await push(omar, 'team/app', 'latest'), 403)
      t.equal(await pull(omar, 'team/app'), 200)
    })

    await t.test('docs/access.md: why was I refused?', async (t) => {
      const client = createRegistryClient(system.url, basic(jane))
      const refused = await client.send('POST', '/v2/team/app/blobs/uploads/')
      t.equal(refused.status, 403)
      const printed = [...page.matchAll(/^```json\n(.*?)^```$/gms)].map(([, text]) => text ?? '')
      const documented = printed.find((text) => text.includes('"errors"')) ?? ''
      t.strictSame(
        refused.json,
        JSON.parse(documented.replaceAll('https://registry.example.com', system.url)),
      )
      const explained = {
        account: { kind: 'user', name: 'jane' },
        allowed: false,
        because: [{ kind: 'grant', repositories: 'team/app', role: 'reader' }],
        missing: /can grant the role developer/,
      }
      const url = new URL(refused.json.errors[0].detail.explain)
      t.match((await client.send('GET', url.pathname + url.search)).json, explained)
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
  },
)
