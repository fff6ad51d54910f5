import t from 'tap'
import { readSeed } from './harness/seed.ts'
import { pushSmallImage } from './harness/small-image.ts'
import type { Credentials, System } from './harness/system.ts'
import { basic, startSystem, tokenFor } from './harness/system.ts'

interface Endpoint {
  readonly method: string
  readonly path: string
  readonly parameters: readonly string[]
}

/** Returns the endpoints that the seed lists, with the names of their parameters. */
function listedEndpoints(seed: string): Endpoint[] {
  const block = /^````\n(.*?)^````$/ms.exec(seed)?.[1] ?? ''
  return [...block.matchAll(/^([A-Z]+) (\/\S*)\n((?: {4}.*\n?)*)/gm)].map(
    ([, method = '', path = '', text = '']) => {
      const parameters = /Params: (.*)/.exec(text)?.[1] ?? ''
      return { method, path, parameters: [...parameters.matchAll(/(\w+) \(/g)].map(([, name]) => name ?? '') }
    },
  )
}

async function ask(system: System, credentials: Credentials, method: string, path: string, parameters = {}) {
  const query = new URLSearchParams(parameters)
  const response = await fetch(`${system.url}${path}?${query}`, {
    method,
    headers: { authorization: basic(credentials) },
  })
  const text = await response.text()
  return {
    status: response.status,
    body: text === '' ? undefined : JSON.parse(text),
    headers: response.headers,
  }
}

t.test('seed 002: every listed endpoint accepts every listed parameter', async (t) => {
  const system = await startSystem(t)
  const { admin } = system
  const jane = { username: 'jane', password: 'first-password' }
  const listed = listedEndpoints(readSeed('002_ab0893e6de9f48c5'))
  const used: string[] = []
  const use = (
    credentials: Credentials,
    method: string,
    path: string,
    parameters: Record<string, string> = {},
  ) => {
    const endpoint = listed.find((entry) => entry.method === method && entry.path === path)
    t.ok(endpoint, `the seed lists ${method} ${path}`)
    for (const name of Object.keys(parameters))
      t.ok(endpoint?.parameters.includes(name), `${method} ${path} has the parameter ${name}`)
    used.push(`${method} ${path}`, ...Object.keys(parameters).map((name) => `${method} ${path} ${name}`))
    return ask(system, credentials, method, path, parameters)
  }

  const made = await use(admin, 'POST', '/user', {
    ...jane,
    ad: 'false',
    admin: 'false',
    namespaces: 'team,lab',
  })
  t.match(made, {
    status: 201,
    body: { username: 'jane', ad: false, admin: false, namespaces: ['lab', 'team'] },
  })
  t.notMatch(JSON.stringify(made.body), /password|argon2/, 'the response has neither a password nor a hash')

  t.match(await use(jane, 'GET', '/user'), { status: 200, body: { username: 'jane' } })
  t.match(await use(admin, 'GET', '/user', { username: 'jane' }), { status: 200, body: { username: 'jane' } })
  t.match(await ask(system, jane, 'GET', '/user', { username: 'admin' }), { status: 403 })
  t.match(await use(admin, 'GET', '/users', { offset: '1', limit: '50' }), {
    status: 200,
    body: [{ username: 'jane' }],
  })
  t.match(await ask(system, jane, 'GET', '/users'), { status: 403 })

  const noDirectory = await use(admin, 'POST', '/user', {
    username: 'adam',
    ad: 'true',
    password: 'is ignored',
  })
  t.match(noDirectory, { status: 400, body: { field: 'ad', detail: /no directory is configured/ } })

  const changes = {
    username: 'jane',
    password: 'second-password',
    admin: 'true',
    namespaces: 'team',
    ad: 'false',
  }
  t.match(await use(admin, 'PATCH', '/user', changes), {
    status: 200,
    body: { admin: true, namespaces: ['team'] },
  })
  t.match(await ask(system, jane, 'GET', '/user'), { status: 401 }, 'the first password is refused')
  t.match(await ask(system, admin, 'PATCH', '/user', { username: 'jane', admin: '0' }), {
    body: { role: 'user' },
  })

  const second = { ...jane, password: 'second-password' }
  const own = await use(second, 'POST', '/user/password', { password: 'third-password' })
  t.equal(own.status, 204)
  const byAdmin = await use(admin, 'POST', '/user/password', {
    username: 'jane',
    password: 'fourth-password',
  })
  t.equal(byAdmin.status, 204)
  const fourth = { ...jane, password: 'fourth-password' }
  const lab = await use(admin, 'POST', '/user/namespaces', { username: 'jane', namespaces: 'lab' })
  t.match(lab, { status: 200, body: { namespaces: ['lab'] } })

  // "All remaining requests are proxied": a push and a pull are permitted by a grant and refused elsewhere.
  const image = await pushSmallImage(system, fourth, 'lab/app', 'v1')
  used.push('ALL /')
  const pull = await fetch(`${system.url}/v2/lab/app/manifests/v1`, {
    headers: { authorization: basic(fourth) },
  })
  t.equal(await pull.text(), image.manifest)
  await t.rejects(
    pushSmallImage(system, fourth, 'team/app', 'v1'),
    /403/,
    'a push to the removed namespace is refused',
  )
  const catalog = await use(fourth, 'GET', '/v2/_catalog')
  t.match(catalog, { status: 200, body: { repositories: ['lab/app'] } })

  const gone = await use(admin, 'DELETE', '/user', { username: 'jane' })
  t.equal(gone.status, 204)
  t.match(await ask(system, fourth, 'GET', '/user'), { status: 401 })
  const token = await tokenFor(system, admin, 'repository:lab/app:pull')
  const kept = await fetch(`${system.url}/v2/lab/app/manifests/v1`, {
    headers: { authorization: `Bearer ${token}` },
  })
  t.equal(await kept.text(), image.manifest, 'images of a deleted user remain')

  const all = listed.flatMap(({ method, path, parameters }) => [
    `${method} ${path}`,
    ...parameters.map((name) => `${method} ${path} ${name}`),
  ])
  t.strictSame(
    all.filter((entry) => !used.includes(entry)),
    [],
    'every listed endpoint was tested',
  )
})
