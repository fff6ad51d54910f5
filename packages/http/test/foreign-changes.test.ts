import Fastify from 'fastify'
import t from 'tap'
import { setErrorFormat, problemJson } from '../src/error-handler.ts'
import { foreignChange, refuseForeignChanges } from '../src/foreign-changes.ts'

const OWN = 'https://registry.example:8443'

const PASS = [
  ['POST', {}, 'no browser sends it'],
  ['POST', { origin: OWN }, 'our own origin'],
  ['POST', { origin: OWN, 'sec-fetch-site': 'same-origin' }, 'our own page'],
  ['DELETE', { 'sec-fetch-site': 'none' }, 'the user, and no page'],
  ['GET', { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }, 'a read'],
  ['HEAD', { 'sec-fetch-site': 'cross-site' }, 'a read without a body'],
  ['OPTIONS', { origin: 'https://evil.example' }, 'a preflight request, which no response permits'],
] as const

const REFUSE = [
  ['POST', { origin: 'https://evil.example' }, 'another host'],
  ['POST', { origin: 'https://registry.example' }, 'another port'],
  ['POST', { origin: 'http://registry.example:8443' }, 'another scheme'],
  ['POST', { origin: 'https://sub.registry.example:8443' }, 'a subdomain'],
  ['POST', { origin: `${OWN}.evil.example` }, 'a host that begins like ours'],
  ['POST', { origin: `${OWN}, https://evil.example` }, 'two headers, as Node joins them'],
  ['POST', { origin: 'null' }, 'a sandboxed page'],
  ['POST', { origin: '' }, 'an empty origin'],
  ['POST', { 'sec-fetch-site': 'cross-site' }, 'another site without an origin'],
  ['PUT', { 'sec-fetch-site': 'same-site' }, 'another host of the same site'],
  ['PATCH', { origin: OWN, 'sec-fetch-site': 'cross-site' }, 'headers that disagree'],
  ['DELETE', { 'sec-fetch-site': 'SAME-ORIGIN' }, 'a value that the standard does not have'],
  ['PURGE', { origin: 'https://evil.example' }, 'an unknown method'],
] as const

t.test('a change passes unless a page of another origin may have sent it', async (t) => {
  for (const [method, headers, why] of PASS) t.equal(foreignChange(method, headers, OWN), undefined, why)
})

t.test(
  'a change that a page of another origin sent is refused, with the header that proves it',
  async (t) => {
    for (const [method, headers, why] of REFUSE) {
      t.match(foreignChange(method, headers, OWN), /^changes from another (origin|site) are refused: /, why)
    }
    t.match(foreignChange('POST', { origin: 'https://evil.example' }, OWN), `Origin must be ${OWN}`)
  },
)

t.test(
  'a change from another origin is refused before other hooks run, in the error format of its route',
  async (t) => {
    const app = Fastify()
    t.teardown(() => app.close())
    refuseForeignChanges(app, OWN)
    const ran: string[] = []
    await app.register(async (app) => {
      setErrorFormat(app, problemJson)
      app.addHook('onRequest', async () => void ran.push('hook'))
      app.post('/thing', async () => void ran.push('handler'))
    })
    const refused = await app.inject({
      method: 'POST',
      url: '/thing',
      headers: { origin: 'https://evil.example' },
    })
    t.equal(refused.statusCode, 403)
    t.match(refused.headers['content-type'], 'application/problem+json')
    t.strictSame(ran, [])
    const passed = await app.inject({ method: 'POST', url: '/thing', headers: { origin: OWN } })
    t.equal(passed.statusCode, 200)
    t.strictSame(ran, ['hook', 'handler'])
  },
)
