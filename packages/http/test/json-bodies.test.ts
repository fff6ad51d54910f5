import t from 'tap'
import { findDuplicateField, parseJsonBodies } from '../src/json-bodies.ts'
import { createMetrics } from '../src/metrics.ts'
import { createServer } from '../src/server.ts'

const CASES: readonly (readonly [json: string, field: string | undefined, why: string])[] = [
  ['{"a":1,"b":2}', undefined, 'two fields'],
  ['{"a":1,"a":2}', 'a', 'one field twice'],
  ['{"a":1,"a":1}', 'a', 'twice the same value'],
  [String.raw`{"a":1,"\u0061":2}`, 'a', 'one name written in two ways'],
  ['{"a":{"b":1,"c":{"b":2,"b":3}}}', 'b', 'within another object'],
  ['{"a":{"a":{"a":1}}}', undefined, 'one name in objects within each other'],
  ['[{"a":1},{"a":2}]', undefined, 'one name in two objects of a list'],
  ['{"a":[{"b":1},["x"]],"a":2}', 'a', 'after a list'],
  ['{"a":"b","b":"a"}', undefined, 'a value that is like a name'],
  ['{"a":"\\"b\\":1,\\"b\\":2"}', undefined, 'JSON within a string'],
  ['{"a":"x\\\\","b":"}{","c":"],["}', undefined, 'brackets and backslashes in strings'],
  ['{ "a" : 1 ,\n "a"\t: 2 }', 'a', 'white space'],
  ['{"":1,"":2}', '', 'an empty name'],
  ['{"__proto__":1,"__proto__":2}', '__proto__', 'a name with a meaning'],
  ['["a","a"]', undefined, 'a list of strings'],
  ['"a"', undefined, 'a string'],
]

t.test('findDuplicateField finds a field that appears twice in one object', async (t) => {
  for (const [json, field, why] of CASES) {
    JSON.parse(json)
    t.equal(findDuplicateField(json), field, why)
  }
})

t.test('findDuplicateField takes linear time', async (t) => {
  const length = 1024 * 1024
  for (const text of [
    `"${'x'.repeat(length)}"`,
    `"${String.raw`\"`.repeat(length / 2)}"`,
    `["a"${' '.repeat(length)}]`,
    `${'['.repeat(2000)}${']'.repeat(2000)}`,
    `{${Array.from({ length: 100_000 }, (_, at) => `"${at}":1`).join()}}`,
  ]) {
    t.equal(findDuplicateField(text), undefined, `${text.slice(0, 10)}…`)
  }
})

t.test('a JSON body with a duplicate field gets 400 that names the field', async (t) => {
  const app = createServer({ name: 'test', logLevel: 'silent', metrics: createMetrics('test') })
  t.teardown(() => app.close())
  parseJsonBodies(app)
  app.post('/', async ({ body }) => body)
  await app.register(async (child) => {
    child.removeContentTypeParser('application/json')
    parseJsonBodies(child, { allowEmpty: true })
    child.post('/empty', async ({ body }) => ({ given: body !== undefined }))
  })
  const headers = { 'content-type': 'application/json; charset=utf-8' }
  const post = async (url: string, payload: string) => {
    const response = await app.inject({ method: 'POST', url, headers, payload })
    return response.json()
  }
  t.match(await post('/', '{"a":1,"a":2}'), {
    status: 400,
    field: 'a',
    detail: '"a" is given twice in one object',
  })
  t.strictSame(await post('/', '{"a":[1]}'), { a: [1] })
  t.match(await post('/', '{"a":1'), { status: 400 })
  t.match(await post('/', '{"__proto__":1}'), { status: 400 })
  t.match(await post('/', ''), { status: 400 })
  t.strictSame(await post('/empty', ''), { given: false })
})
