import t from 'tap'
import { ensureCommands } from './harness/debian-packages.ts'
import { runCommand } from './harness/run-command.ts'
import { fillIn, readSeed } from './harness/seed.ts'
import { pushSmallImage } from './harness/small-image.ts'
import { startSystem } from './harness/system.ts'

/*
 * Docker Trusted Registry, as printed: variables, a token of ES256, a manifest by Bearer. Read as printed but
 * for the page's mark-up round the variables' values, and the link round the last URL. With TLS, the host is the
 * printed one, which curl finds here: it is spelt without a scheme first, which curl takes for http, then with https.
 * Without TLS, the host is ours, and `https` is read as http.
 */
t.test('seed 003: a manifest by token', { skip: await ensureCommands({ curl: 'curl' }) }, async (t) => {
  const printedHost = 'dtr.example.com'
  const system = await startSystem(t, { publicHost: printedHost })
  const isSecure = system.authority !== undefined
  const host = isSecure ? printedHost : system.host
  const options = isSecure
    ? `-sS --cacert ${system.authority} ${connectTo(`${host}:443`, system.url)} ${connectTo(`${host}:80`, system.plainUrl)}`
    : '-sS'
  const seed = readSeed('003_9191376c9045f380')
  const indented = seed.split('\n').filter((line) => line.startsWith('    ') && line.trim() !== '')
  const find = (start: string) => {
    const line = indented.find((text) => text.trim().startsWith(start))
    if (line === undefined) throw new Error(`the seed has no line ${start}`)
    return line.trim()
  }
  const [repository, tag] = [find('reponame=').slice(9), find('tag=').slice(4)]
  const image = await pushSmallImage(system, system.admin, repository, tag)

  const token = find('curl -u')
  const manifest = find('curl -H').replace(/\[(\S+)\]\(\S+ "[^"]*"\)/, '$1')
  t.notMatch(manifest, /\[/, 'the link is read as its URL')
  const variables = [
    fillIn(find('username='), [['username=admin', `username=${system.admin.username}`]]),
    fillIn(find('password='), [['<^><my-password><^^>', system.admin.password]]),
    fillIn(find('host='), [[`<^>${printedHost}<^^>`, host]]),
    find('reponame='),
    find('tag='),
  ]
  const first = await runCommand('sh', ['-c', [...variables, `${token} ${options}`].join('\n')])
  const answer = JSON.parse(first.stdout) as { token: string; access_token: string }
  t.equal(answer.token, answer.access_token)

  const header = JSON.parse(Buffer.from(answer.token.split('.')[0] ?? '', 'base64url').toString())
  const claims = JSON.parse(payloadOf(answer.token))
  t.match(header, { typ: 'JWT', alg: 'ES256', kid: /^([A-Z2-7]{4}:){11}[A-Z2-7]{4}$/ })
  // The page lost a comma of its token on the way.
  const printed = JSON.parse(payloadOf(find('token=')).replace('P"iat"', ',"iat"'))
  t.strictSame(claims.access, printed.access, 'access as the printed token has it')
  for (const claim of Object.keys(printed)) t.ok(claim in claims, `the printed token's ${claim}`)

  const asRead = isSecure ? manifest : fillIn(manifest, [['https://', 'http://']])
  const script = [...variables, `token=${answer.token}`, `${asRead} ${options}`]
  const second = await runCommand('sh', ['-c', script.join('\n')])
  t.equal(second.stdout, image.manifest, 'the manifest as it was pushed')

  const withScheme = fillIn(`${token} ${options}`, [
    ['service=$host', `service=${isSecure ? 'https' : 'http'}://${host}`],
  ])
  const third = await runCommand('sh', ['-c', [...variables, withScheme].join('\n')])
  t.match(JSON.parse(third.stdout), { token: String }, '$host with a scheme names the service as well')
})

function payloadOf(token: string): string {
  return Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()
}

/** The option of curl's that has a host and port be another one's. */
function connectTo(hostAndPort: string, url: string): string {
  return `--connect-to ${hostAndPort}:${new URL(url).host}`
}
