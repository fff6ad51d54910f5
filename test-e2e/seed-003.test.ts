import t from 'tap'
import { ensureCommands } from './harness/debian-packages.ts'
import { runCommand } from './harness/run-command.ts'
import { fillIn, readSeed } from './harness/seed.ts'
import { pushSmallImage } from './harness/small-image.ts'
import { startSystem } from './harness/system.ts'

/*
 * Docker Trusted Registry, as printed: variables, an ES256 token, a manifest by Bearer. The page's mark-up around the
 * variables' values and the link around the last URL are removed. With TLS, curl resolves the printed host to this
 * system: first without a scheme, which curl takes for http, then with https. Without TLS, the host is the system's,
 * and `https` is replaced by http.
 */
const noCurl = await ensureCommands({ curl: 'curl' })

t.test('seed 003: a manifest is pulled by token as printed', { skip: noCurl }, async (t) => {
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
  t.notMatch(manifest, /\[/, 'the link was replaced by its URL')
  const variables = [
    fillIn(find('username='), [['username=admin', `username=${system.admin.username}`]]),
    fillIn(find('password='), [['<^><my-password><^^>', system.admin.password]]),
    fillIn(find('host='), [[`<^>${printedHost}<^^>`, host]]),
    find('reponame='),
    find('tag='),
  ]
  const first = await runCommand('sh', ['-c', [...variables, `${token} ${options}`].join('\n')])
  const response = JSON.parse(first.stdout) as { token: string; access_token: string }
  t.equal(response.token, response.access_token)

  const header = JSON.parse(Buffer.from(response.token.split('.')[0] ?? '', 'base64url').toString())
  const claims = JSON.parse(payloadOf(response.token))
  t.match(header, { typ: 'JWT', alg: 'ES256', kid: /^([A-Z2-7]{4}:){11}[A-Z2-7]{4}$/ })
  // The printed token lost a comma.
  const printed = JSON.parse(payloadOf(find('token=')).replace('P"iat"', ',"iat"'))
  t.strictSame(claims.access, printed.access, 'the access claim has the printed form')
  for (const claim of Object.keys(printed)) t.ok(claim in claims, `the token has the printed claim ${claim}`)

  const asRead = isSecure ? manifest : fillIn(manifest, [['https://', 'http://']])
  const script = [...variables, `token=${response.token}`, `${asRead} ${options}`]
  const second = await runCommand('sh', ['-c', script.join('\n')])
  t.equal(second.stdout, image.manifest, 'the manifest has the pushed bytes')

  const withScheme = fillIn(`${token} ${options}`, [
    ['service=$host', `service=${isSecure ? 'https' : 'http'}://${host}`],
  ])
  const third = await runCommand('sh', ['-c', [...variables, withScheme].join('\n')])
  t.match(JSON.parse(third.stdout), { token: String }, '$host with a scheme names the service too')
})

function payloadOf(token: string): string {
  return Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()
}

/** Returns curl's option that redirects a host and port to the host and port of a URL. */
function connectTo(hostAndPort: string, url: string): string {
  return `--connect-to ${hostAndPort}:${new URL(url).host}`
}
