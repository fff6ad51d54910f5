import t from 'tap'
import { ensureCommands } from './harness/debian-packages.ts'
import { runCommand } from './harness/run-command.ts'
import { fillIn, readSeed } from './harness/seed.ts'
import { pushSmallImage } from './harness/small-image.ts'
import { startAtPorts, tokenFor } from './harness/system.ts'

/*
 * Image management API: both commands as printed (with and without the certificate), with http if there is no TLS. Then
 * the function of each linked page.
 */
const noCurl = await ensureCommands({ curl: 'curl' })

t.test('seed 001: the image management API works as printed', { skip: noCurl }, async (t) => {
  const system = await startAtPorts(t)
  const { authority } = system
  const jane = await system.createUser('jane', ['default'])
  const image = await pushSmallImage(system, jane, 'default/alpine', '3.6')
  const seed = readSeed('001_c9d1e4c8b696ca25')
  const commands = [...seed.matchAll(/^curl .*$/gm)].map(([line]) => line.trim())
  t.equal(commands.length, 2)

  const env = { ID_TOKEN: await tokenFor(system, system.admin) }
  const curl = async (suffix: string, ...options: string[]) => {
    const [first = ''] = commands
    const filled = fillIn(first, [
      authority === undefined
        ? ['--cacert /<certificate_path>/ca.crt ', '']
        : ['/<certificate_path>/ca.crt', authority],
      ['https://<Cluster Master Host>:<Cluster Master API Port>', system.url],
    ])
    const command = `${filled}${suffix} ${options.join(' ')} -w '\\n%{http_code} %{content_type}'`
    const { stdout } = await runCommand('sh', ['-c', command], { env })
    const lines = stdout.split('\n')
    const [status, type] = (lines.pop() ?? '').split(' ')
    return { status: Number(status), type, body: lines.join('\n') }
  }

  const greeting = await curl('')
  t.match(greeting, { status: 200, type: /text\/plain/ })
  const insecure = fillIn(commands[1] ?? '', [
    ['https://<Cluster Master Host>:<Cluster Master API Port>', system.url],
  ])
  const second = await runCommand('sh', ['-c', `${insecure} -s`], { env })
  t.equal(second.stdout, greeting.body, 'the command works with -k')

  const linked = [...seed.matchAll(/\[([A-Z][^\]]*)\]\(\.\.\/apis\/cfc_api_files/g)].map(([, title]) => title)
  t.strictSame(linked, [
    'Delete repositories',
    'Get JWT tokens',
    'List endpoints',
    'List repositories',
    'List specified repository',
    'Update repository metadata',
  ])
  for (const line of [
    'GET /image-manager/api/v1/auth/token',
    'GET /image-manager/api/v1/repositories',
    'GET /image-manager/api/v1/repositories/{repo:.*}',
    'PUT /image-manager/api/v1/repositories/{repo:.*}',
    'DELETE /image-manager/api/v1/repositories/{repo:.*}',
  ]) {
    t.ok(greeting.body.split('\n').includes(line), `the endpoints have the line ${line}`)
  }

  const token = JSON.parse((await curl('/auth/token')).body).token as string
  const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
  t.equal(claims.access, null, 'Get JWT tokens: an identity token, for the one that is shown')

  const repository = {
    name: 'default/alpine',
    owner: 'default',
    scope: 'namespace',
    tags: [{ name: '3.6', manifest: JSON.parse(image.manifest) }],
  }
  const list = await curl('/repositories')
  t.strictSame(JSON.parse(list.body), { repositories: [repository] }, 'List repositories')
  t.match(list.type, /application\/json/)
  t.strictSame(
    JSON.parse((await curl('/repositories/default/alpine')).body),
    repository,
    'List specified repository',
  )

  const update = await curl('/repositories/default/alpine', '-X PUT', `-d '{"scope":"global"}'`)
  t.match(update, { status: 200, body: 'OK' }, 'Update repository metadata, encoded as curl sends it')
  t.match(JSON.parse((await curl('/repositories/default/alpine')).body), { scope: 'global' })
  const named = `{"scope":"global","namespace":"default","repo":"alpine"}`
  t.match(
    await curl('/repositories/default/alpine', '-X PUT', `-d '${named}'`),
    { status: 200, body: 'OK' },
    'Update repository metadata with the parameters of its table',
  )
  for (const body of ['{"scope":"world"}', '{"scope":"global","owner":"me"}', 'scope=global', '']) {
    const bad = await curl('/repositories/default/alpine', '-X PUT', `-d '${body}'`)
    t.match(
      bad,
      { status: 400, body: /scope/ },
      `Update repository metadata refuses ${body || 'an empty body'}`,
    )
  }

  const gone = await curl('/repositories/default/alpine', '-X DELETE')
  t.match(gone, { status: 200, body: '' }, 'Delete repositories')
  t.match(
    await curl('/repositories/default/alpine', '-X DELETE'),
    { status: 404 },
    'a repeated deletion is 404',
  )
  t.match(await curl('/repositories/default/alpine'), { status: 404 })
  t.strictSame(JSON.parse((await curl('/repositories')).body), { repositories: [] })
})
