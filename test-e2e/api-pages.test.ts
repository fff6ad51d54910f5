import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { findCommand } from '../deploy/local/find-command.js'
import { runCommand } from './harness/run-command.ts'
import { startSystem } from './harness/system.ts'

const chromium = findCommand('chromium')
const skip = chromium === undefined && 'not installed: chromium'

/** Text that only the script of the page writes, from the document. */
const PAGES = {
  auth: 'Create a registry token',
  images: 'Set the scope of a repository',
  registry: 'Ask how much of an upload has arrived',
}

/** Loads a page. Returns what its scripts made of it, and the messages of its console. */
async function load(url: string, profile: string) {
  const flags =
    '--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking ' +
    '--disable-component-update --disable-sync --enable-logging=stderr --virtual-time-budget=20000 --dump-dom'
  const args = [...flags.split(' '), `--user-data-dir=${profile}`, url]
  const { stdout, stderr } = await runCommand(chromium ?? '', args)
  return { dom: stdout, messages: stderr.split('\n').filter((line) => line.includes(':CONSOLE')) }
}

t.test('Chromium shows the API pages under their Content-Security-Policy', { skip }, async (t) => {
  const blocking = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/html', 'content-security-policy': "default-src 'none'" })
    response.end('<script>document.title = "x"</script>')
  })
  await once(blocking.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => blocking.close())
  const { port } = blocking.address() as AddressInfo
  const blocked = await load(`http://127.0.0.1:${port}/`, t.testdir())
  t.match(blocked.messages, [/Content Security Policy/], 'the console tells what a policy blocks')

  const system = await startSystem(t)
  for (const [name, text] of Object.entries(PAGES)) {
    const { dom, messages } = await load(`${system.plainUrl}/docs/${name}`, t.testdir())
    t.match(dom, text, `/docs/${name} shows its operations`)
    t.notMatch(dom, /type="password"|try-out|class="[^"]*authorize/, 'no form for credentials or requests')
    t.strictSame(messages, [], 'the policy blocks nothing that the page needs')
  }
})
