import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Validator } from '@seriousme/openapi-schema-validator'
import { openapiTypes } from '@registry-manager/testing/openapi-types'
import type { OpenAPIV3_1 } from 'openapi-types'
import t from 'tap'
import type { DocumentedOperation } from '../../../test-e2e/harness/openapi.ts'
import { examplesOf, operationsOf } from '../../../test-e2e/harness/openapi.ts'
import { buildServices } from './fixtures/service-routes.ts'

const TSC = fileURLToPath(new URL('../../../node_modules/.bin/tsc', import.meta.url))
const COMPILER_OPTIONS = {
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  allowImportingTsExtensions: true,
  module: 'nodenext',
  target: 'esnext',
  types: [],
  lib: ['esnext', 'dom'],
}

const SERVICES = { auth: 'auth-service', images: 'image-manager', registry: 'registry-proxy' } as const

const { apps } = await buildServices(t)
const documents = new Map<string, OpenAPIV3_1.Document>()
for (const [name, service] of Object.entries(SERVICES)) {
  const response = await apps[service].publicApp.inject(`/docs/${name}/json`)
  documents.set(name, response.json())
}

t.test('the OpenAPI documents are valid, and describe the public URL', async (t) => {
  for (const [name, document] of documents) {
    const { valid, errors } = await new Validator().validate(structuredClone(document))
    t.strictSame([valid, errors], [true, undefined], name)
    t.match(document, {
      openapi: '3.1.0',
      servers: [{ url: 'https://registry.test' }],
      info: { version: /^\d/ },
    })
    const operations = operationsOf(document)
    t.ok(operations.length > 3, name)
    const described = (document.tags ?? []).map((tag) => tag.name)
    const used = new Set(operations.flatMap(({ tags }) => tags))
    t.strictSame([...used].toSorted(), described.toSorted(), `the tags of ${name}`)
  }
})

t.test('a client that is generated from the documents accepts their examples', async (t) => {
  const files: Record<string, string> = {
    'tsconfig.json': JSON.stringify({ compilerOptions: COMPILER_OPTIONS, include: ['*.ts'] }),
  }
  for (const [name, document] of documents) {
    files[`${name}.ts`] = await openapiTypes(document)
    files[`${name}-calls.ts`] = clientFile(name, operationsOf(document))
  }
  const folder = t.testdir(files)
  // Without tap's own loaders.
  const command = 'unset NODE_OPTIONS; exec "$0" --project "$1"'
  const args = ['-c', command, TSC, join(folder, 'tsconfig.json')]
  const { status, stdout, stderr } = spawnSync('sh', args, { encoding: 'utf8' })
  t.strictSame([stdout + stderr, status], ['', 0])
})

/** A client whose calls are the examples of a document. The last call must not type-check. */
function clientFile(name: string, operations: readonly DocumentedOperation[]): string {
  const calls = operations.map((operation) => {
    const { id, method, path } = operation
    return `export const ${id} = () => client.${method}(${JSON.stringify(path)}, ${JSON.stringify(optionsOf(operation))})`
  })
  return [
    `import createClient from 'openapi-fetch'`,
    `import type { paths } from './${name}.ts'`,
    `const client = createClient<paths>({ baseUrl: 'http://localhost' })`,
    ...calls,
    '// @ts-expect-error the document has no such path',
    `export const other = () => client.GET('/no/such/path', {})`,
    '',
  ].join('\n')
}

/** The options of a call of openapi-fetch: the first example of every parameter and of the body. */
function optionsOf({ parameters, bodies }: DocumentedOperation) {
  const placed = (place: string) => {
    const examples = parameters
      .filter((one) => one.in === place)
      .flatMap((one) =>
        examplesOf(one)
          .slice(0, 1)
          .map((example) => [one.name, example]),
      )
    return examples.length === 0 ? undefined : Object.fromEntries(examples)
  }
  const [body] = Object.values(bodies).flatMap(examplesOf)
  const params = { path: placed('path'), query: placed('query') }
  return { ...((params.path ?? params.query) && { params }), body }
}
