import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { makeForeignPair } from './fixtures/foreign-pair.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const DOCS = join(ROOT, 'docs')
const documents = readdirSync(DOCS).filter((name) => name.endsWith('.md'))
const read = (name: string) => readFileSync(join(DOCS, name), 'utf8')
const noGit = !existsSync(join(ROOT, '.git')) && 'this is no git repository'

t.test(
  'git ignores every folder of secrets or data that the documentation names',
  { skip: noGit },
  async (t) => {
    const text = documents.map(read).join('\n')
    const named = [
      ...text.matchAll(/npm run secrets -- ([a-z][\w/-]*)/g),
      ...text.matchAll(/DATA_DIR=([a-z][\w/-]*)/g),
      ...text.matchAll(/npm run rotate-keys -- (?:--all )?([a-z][\w-]*)/g),
    ].map(([, folder = '']) => folder)
    const folders = [...new Set([...named, 'data', 'data-stack'])]
    for (const folder of ['deploy/kubernetes/overlays/quickstart/secrets', 'data-restored']) {
      t.ok(folders.includes(folder), `${folder} is named`)
    }
    for (const folder of folders) {
      const { status } = spawnSync('git', ['check-ignore', '--quiet', '--no-index', `${folder}/ca-key.pem`], {
        cwd: ROOT,
      })
      t.equal(status, folder === 'deploy' ? 1 : 0, `${folder} is ignored`)
    }
    const { stdout } = spawnSync('git', ['ls-files', '--cached', '--ignored', '--exclude-standard'], {
      cwd: ROOT,
      encoding: 'utf8',
    })
    t.equal(stdout, '', 'git ignores no file of the repository')
  },
)

t.test(
  'the certbot hook of docs/certificates.md installs certificate and key in the folder that is served',
  async (t) => {
    const [, hook = ''] = /<<'HOOK'\n([^]*?)\nHOOK\n/.exec(read('certificates.md')) ?? []
    const folder = t.testdir({ live: {}, tls: {} })
    const pair = makeForeignPair(t.testdirName, 'registry.example')
    writeFileSync(join(folder, 'live', 'fullchain.pem'), pair['server.crt'])
    writeFileSync(join(folder, 'live', 'privkey.pem'), pair['server.key'])
    const here = hook
      .replace(/^folder=\S+/m, `folder='${join(folder, 'tls')}'`)
      .replace(/^owner=\S+/m, `owner=${userInfo().username}`)
    mkdirSync(join(folder, 'tls'), { recursive: true })
    const env = { ...process.env, RENEWED_LINEAGE: join(folder, 'live') }
    const { status, stderr } = spawnSync('sh', ['-c', here], { encoding: 'utf8', env })
    t.match([status, stderr], [0, /^(install: .*)?$/s], stderr)
    for (const [name, text] of Object.entries(pair)) {
      t.equal(readFileSync(join(folder, 'tls', name), 'utf8'), text)
      t.equal(statSync(join(folder, 'tls', name)).mode & 0o777, 0o600, `only its owner can read ${name}`)
    }
  },
)

t.test('every page that a page of docs links to exists', async (t) => {
  for (const name of documents) {
    for (const [, link = ''] of read(name).matchAll(/\]\(([a-z][\w-]*\.md)(?:#[\w-]+)?\)/g)) {
      t.ok(documents.includes(link), `${name} links to ${link}`)
    }
  }
})
