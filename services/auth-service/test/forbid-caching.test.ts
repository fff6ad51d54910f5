import t from 'tap'
import { pgliteForTest } from '@registry-manager/testing/pglite'
import type { Question } from './fixtures/auth-service.ts'
import { startAuthService } from './fixtures/auth-service.ts'
import { tokensApi } from './fixtures/registry-tokens.ts'

const { ask } = await startAuthService(t, await pgliteForTest(t))
const api = await tokensApi(ask)
const token = await api.make({ name: 'stored' })

t.test('responses about accounts and registry tokens are no-store, errors included', async (t) => {
  const questions: readonly (readonly [status: number, question: Question])[] = [
    [200, { url: '/user', as: 'alice' }],
    [200, { url: '/users', as: 'root' }],
    [403, { url: '/users', as: 'alice' }],
    [401, { url: '/user' }],
    [404, { url: '/user?username=nobody', as: 'root' }],
    [400, { url: '/user?x=y', as: 'root' }],
    [204, { method: 'DELETE', url: '/user/sessions', as: 'alice' }],
    [200, { url: '/containerregistries/registries', as: 'root' }],
    [200, { url: `${api.base}/${token.id}`, as: 'root' }],
    [405, { method: 'DELETE', url: '/containerregistries/registries', as: 'root' }],
    [201, { method: 'POST', url: '/personal-tokens', json: { name: 'laptop' }, as: 'alice' }],
    [400, { method: 'POST', url: '/personal-tokens', json: {}, as: 'alice' }],
    [401, { url: '/personal-tokens' }],
  ]
  for (const [status, question] of questions) {
    const response = await ask(question)
    t.equal(response.statusCode, status, question.url)
    t.equal(response.headers['cache-control'], 'no-store', `${status} ${question.url}`)
  }
})

t.test('every JSON route refuses a body with a duplicate field', async (t) => {
  const headers = { 'content-type': 'application/json' }
  for (const [method, url, payload, field] of [
    ['POST', '/user', '{"username":"eve","password":"a-good-password","admin":false,"admin":true}', 'admin'],
    ['PATCH', '/user', String.raw`{"username":"alice","username":"bob","role":"administrator"}`, 'username'],
    ['POST', '/user/namespaces', '{"username":"alice","namespaces":"a","namespaces":"b"}', 'namespaces'],
    ['POST', api.base, '{"properties":{"name":"one","name":"two"}}', 'name'],
    ['PATCH', `${api.base}/${token.id}`, '{"status":"enabled","status":"disabled"}', 'status'],
    ['POST', '/personal-tokens', '{"name":"one","name":"two"}', 'name'],
    [
      'PUT',
      `${api.base}/${token.id}`,
      '{"properties":{"name":"stored"},"properties":{"name":"stored"}}',
      'properties',
    ],
  ] as const) {
    const response = await ask({ method, url, payload, headers, as: 'root' })
    t.equal(response.statusCode, 400, `${method} ${url}`)
    t.match(response.body, `\\"${field}\\" is given twice in one object`)
  }
  t.equal((await ask({ url: '/user?username=eve', as: 'root' })).statusCode, 404)
})
