import type { ErrorCode } from '@registry-manager/oci'
import { ERROR_CODES, isDigest, isRepositoryName, isTag, parseRegistryRequest } from '@registry-manager/oci'
import t from 'tap'
import type { DocumentedPath, Operation } from '../../src/api-docs/operation.ts'
import { OPERATIONS } from '../../src/api-docs/operations.ts'
import type { Parameter } from '../../src/api-docs/parameters.ts'
import { DIGEST_SCHEMA, NAME_SCHEMA, TAG_SCHEMA } from '../../src/api-docs/parameters.ts'

const KINDS = Object.entries<DocumentedPath>(OPERATIONS)
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']

/** The target of a request with the examples of its path, and with some parameters of its query. */
function targetOf(path: string, parameters: readonly Parameter[], query: readonly Parameter[] = []): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const example = parameters.find((one) => one.in === 'path' && one.name === name)?.example
    if (example === undefined) throw new Error(`${path} has no example of ${name}`)
    return String(example)
  })
  const search = new URLSearchParams(query.map(({ name, example }) => [name, String(example ?? '1.1')]))
  return query.length === 0 ? filled : `${filled}?${search}`
}

const parametersOf = ({ parameters }: DocumentedPath, { parameters: own = [] }: Operation) => [
  ...parameters,
  ...own,
]
const statusesOf = ({ errors = [] }: Operation) =>
  errors.map((error) =>
    typeof error === 'string' ? `${ERROR_CODES[error].status} ${error}` : `${error[1]} ${error[0]}`,
  )
const refusalOf = ({ code, status }: { code: ErrorCode; status?: number }) =>
  `${status ?? ERROR_CODES[code].status} ${code}`

for (const [kind, operations] of KINDS) {
  const { path, methods } = operations
  t.test(`the grammar accepts exactly the documented methods of ${path}`, async (t) => {
    for (const method of METHODS) {
      const operation = methods[method]
      const required =
        operation === undefined
          ? []
          : parametersOf(operations, operation).filter((one) => one.required && one.in === 'query')
      const parsed = parseRegistryRequest(method, targetOf(path, operations.parameters, required))
      if (operation !== undefined) t.match(parsed, { request: { kind, method } }, method)
      else t.match(parsed, { allow: Object.keys(methods) }, method)
    }
  })

  t.test(`the grammar reads every documented parameter of ${path}`, async (t) => {
    for (const [method, operation] of Object.entries(methods)) {
      const parameters = parametersOf(operations, operation)
      const query = parameters.filter((one) => one.in === 'query')
      const all = parseRegistryRequest(method, targetOf(byDigest(path, query), parameters, query))
      t.match(all, { request: { kind } }, method)
      for (const parameter of query) {
        const others = query.filter((one) => one !== parameter)
        const less = parseRegistryRequest(method, targetOf(byDigest(path, query), parameters, others))
        t.strictNotSame(less, all, `${method} ${parameter.name}`)
      }
    }
  })

  t.test(`the grammar refuses invalid parts of ${path} with documented errors`, async (t) => {
    const wrong = {
      '{name}': ['Team/app', 'team//app'],
      '{digest}': ['sha256:abc', 'latest'],
      '{reference}': ['sha256:abc', '.hidden'],
      '{id}': ['-x', 'a'.repeat(200)],
    }
    for (const [method, operation] of Object.entries(methods)) {
      const required = parametersOf(operations, operation).filter((one) => one.required && one.in === 'query')
      for (const [part, texts] of Object.entries(wrong).filter(([part]) => path.includes(part))) {
        for (const text of texts) {
          const target = targetOf(path.replace(part, text), operations.parameters, required)
          const parsed = parseRegistryRequest(method, target)
          if (!('refused' in parsed)) return t.fail(`${method} ${target} is accepted`)
          t.ok(
            statusesOf(operation).includes(refusalOf(parsed.refused)),
            `${method} ${target}: ${refusalOf(parsed.refused)}`,
          )
        }
      }
    }
  })
}

/** The path with a digest where tags are set: a push by tag ignores them. */
function byDigest(path: string, query: readonly Parameter[]): string {
  return query.some(({ name }) => name === 'tag')
    ? path.replace('{reference}', `sha256:${'a'.repeat(64)}`)
    : path
}

t.test('every operation of the registry API has its own operationId', async (t) => {
  const ids = KINDS.flatMap(([, { methods }]) => Object.values(methods).map(({ id }) => id))
  t.equal(new Set(ids).size, ids.length)
})

t.test('the documented patterns are those of the grammar', async (t) => {
  const digest = `sha256:${'a1'.repeat(32)}`
  const samples = [
    ...'a team/app a/b/c a.b-c__d/e a--b Team/app a//b /a a/ a..b -a a___b 1.0 Latest _x .x a:b'.split(' '),
    '',
    'a b',
    'a\n',
    'x'.repeat(128),
    'x'.repeat(129),
    'x'.repeat(255),
    'x'.repeat(256),
    digest,
    digest.toUpperCase(),
    `sha512:${'b2'.repeat(64)}`,
    `sha256:${'b2'.repeat(64)}`,
    `md5:${'a'.repeat(32)}`,
  ]
  for (const [schema, accepts] of [
    [NAME_SCHEMA, isRepositoryName],
    [TAG_SCHEMA, isTag],
    [DIGEST_SCHEMA, isDigest],
  ] as const) {
    const { pattern = '', maxLength = Infinity } = schema
    for (const text of samples) {
      const documented = new RegExp(pattern).test(text) && text.length <= maxLength
      t.equal(documented, accepts(text), `${pattern.slice(0, 20)} ${JSON.stringify(text.slice(0, 80))}`)
    }
  }
})
