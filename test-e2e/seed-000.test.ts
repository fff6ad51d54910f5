import t from 'tap'
import { ensureCommands } from './harness/debian-packages.ts'
import { runCommand } from './harness/run-command.ts'
import { fillIn, readSeed } from './harness/seed.ts'
import { startAtPorts } from './harness/system.ts'

/*
 * Docker Registry V2 API, as printed: a token by Basic, then a request by Bearer. Only Python 2's print is replaced,
 * and, without TLS, `https` and the certificate.
 */
t.test(
  'seed 000: the token and catalog commands work as printed',
  { skip: await ensureCommands({ curl: 'curl', python3: 'python3' }) },
  async (t) => {
    const system = await startAtPorts(t)
    const { username, password } = system.admin
    const seed = readSeed('000_f7028b0c59a6e68c')
    const blocks = [...seed.matchAll(/^```\n(.*?)^```$/gms)].map(([, block]) => block ?? '')
    const [tokenCommand, idToken, echo, catalog, output] = blocks
    t.equal(output?.trim(), '{"repositories":[]}', 'the seed ends with the output')

    const { authority } = system
    const common: [string, string][] =
      authority === undefined
        ? [
            ['--cacert /<certificate_path>/ca.crt ', ''],
            ['https://<Cluster Master Host>:', 'http://<Cluster Master Host>:'],
          ]
        : [['/<certificate_path>/ca.crt', authority]]
    const script = [
      fillIn(tokenCommand ?? '', [
        ...common,
        ['<Cluster Master Host>:<Cluster Master API Port>', system.host],
        ['admin:admin', `${username}:${password}`],
      ]),
      fillIn(idToken ?? '', [
        ['python -c', 'python3 -c'],
        ['print json.load(sys.stdin)["token"]', 'print(json.load(sys.stdin)["token"])'],
      ]),
      echo,
      fillIn(catalog ?? '', [...common, ['<Cluster Master Host>:8500', system.registryHost]]),
    ]
    const { stdout } = await runCommand('sh', ['-c', script.join('\n')])
    const [token = '', response = ''] = stdout.split('\n').filter((line) => line !== '')

    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
    t.strictSame(claims.access, [{ type: 'registry', name: 'catalog', actions: ['*'] }])
    t.equal(claims.sub, username)
    t.equal(claims.aud, system.host, 'token-service is an alias: the audience is the canonical service')
    t.equal(response, output?.trim(), 'the catalog has the printed form')
  },
)
