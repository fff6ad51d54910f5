import t from 'tap'
import { ask } from './harness/ask.ts'
import { pushSmallImage } from './harness/small-image.ts'
import { startSystem } from './harness/system.ts'

const REPOSITORIES = '/image-manager/api/v1/repositories'
const APP = `${REPOSITORIES}/team/app`
const TOKENS = '/containerregistries/registries/ID/tokens'

interface Case {
  readonly method?: string
  readonly path: string
  readonly body?: object
  readonly detail: string
}

/** Requests with one fault each. A fault of one kind is described in the same words by every service. */
const CASES: readonly Case[] = [
  { path: `${REPOSITORIES}?limit=0`, detail: 'limit must be a whole number from 1 to 999999' },
  { path: `${REPOSITORIES}?limit=x`, detail: 'limit must be a whole number from 1 to 999999' },
  { path: '/users?limit=0', detail: 'limit must be a whole number of 1 or more' },
  { path: '/users?offset=x', detail: 'offset must be a whole number of 0 or more' },
  { path: `${TOKENS}?limit=0`, detail: 'limit must be a whole number of 1 or more' },
  { path: '/v2/_catalog?n=x', detail: 'n must be a whole number of 0 or more' },

  { path: `${REPOSITORIES}?last=a&last=b`, detail: 'last is given twice' },
  { path: '/users?limit=1&limit=2', detail: 'limit is given twice' },
  { path: `${TOKENS}?offset=1&offset=2`, detail: 'offset is given twice' },

  { path: `${REPOSITORIES}?search=%00`, detail: 'search must not contain NUL' },
  { path: '/v2/_catalog?last=%00', detail: 'last must not contain NUL' },

  { method: 'PUT', path: APP, body: {}, detail: 'scope is required' },
  { method: 'POST', path: '/user', body: {}, detail: 'username is required' },
  { method: 'POST', path: TOKENS, body: {}, detail: 'properties is required' },

  { method: 'PUT', path: APP, body: { scope: 'all' }, detail: 'scope must be one of global, namespace' },
  {
    method: 'POST',
    path: '/user',
    body: { username: 'jim', password: 'a-password', role: 'king' },
    detail: 'role must be one of cluster-administrator, administrator, user',
  },

  { method: 'PUT', path: APP, body: { scope: 'global', repo: 1 }, detail: 'repo must be a string' },
  { method: 'POST', path: '/user/password', body: { password: 1 }, detail: 'password must be a string' },
  { method: 'POST', path: TOKENS, body: { properties: 1 }, detail: 'properties must be an object' },

  {
    method: 'PUT',
    path: APP,
    body: { scope: 'global', x: 1 },
    detail: 'x is not a known field; known fields are scope, namespace, repo',
  },
  { path: '/user?x=1', detail: 'x is not a known field; known fields are username' },
  {
    method: 'POST',
    path: TOKENS,
    body: { properties: { name: 'ci-team', x: 1 } },
    detail:
      'x is not a known field in properties; known fields are name, expiryDate, scopes, status, conditions',
  },
]

t.test('every service describes the same fault of a request in the same words', async (t) => {
  const system = await startSystem(t)
  await pushSmallImage(system, system.admin, 'team/app', 'v1')
  const registries = await ask(system, '/containerregistries/registries', { as: system.admin })
  const { items } = registries.json as { items: { id: string }[] }
  for (const { method, path, body, detail } of CASES) {
    const target = path.replace('ID', items[0]?.id ?? '')
    const question = { method, as: system.admin, body: body && JSON.stringify(body) }
    const { status, json, text } = await ask(system, target, question)
    t.equal(status, 400, `${path}: ${text}`)
    t.equal(sentenceOf(json), detail, path)
  }
})

/** The sentence in an error of any of the three formats. */
function sentenceOf(json: unknown): unknown {
  const { detail, messages, errors } = json as {
    detail?: string
    messages?: { message: string }[]
    errors?: { message: string }[]
  }
  return detail ?? messages?.[0]?.message ?? errors?.[0]?.message
}
