import type { OpenAPIV3_1 } from 'openapi-types'
import type { Test } from 'tap'
import t from 'tap'
import { ask } from './harness/ask.ts'
import { chromiumIsMissing, openChromium } from './harness/chromium.ts'
import type {
  DocumentName,
  DocumentedOperation,
  ExampleResponse,
  Known,
  SessionCookie,
} from './harness/openapi.ts'
import { createResponseCheck, operationsOf, requestsOf, sendExample } from './harness/openapi.ts'
import { pushSmallImage } from './harness/small-image.ts'
import type { Credentials, System } from './harness/system.ts'
import { startSystem } from './harness/system.ts'

/**
 * Text that only the script of a page writes, from the document. The page of auth-service has the same scripts, and
 * needs more time than both: its document is the largest.
 */
const PAGES = {
  images: 'Set the scope of a repository',
  registry: 'Get the status of an upload',
}

const WRONG: Credentials = { username: 'nobody', password: 'wrong-password' }

interface Step extends Known {
  readonly status?: number
  /** The credentials; the administrator's by default. */
  readonly as?: Credentials | SessionCookie
}

/**
 * Reads a document and returns a function that runs the examples of one operation: every response must have the
 * expected status and fit the document. `unrun` lists the operations that were not run.
 */
async function openDocument(t: Test, system: System, name: DocumentName) {
  const { status, json } = await ask(system, `/docs/${name}/json`)
  t.equal(status, 200)
  const document = json as OpenAPIV3_1.Document
  const operations = operationsOf(document)
  const check = createResponseCheck(document)
  const done = new Set<DocumentedOperation>()
  const run = async (
    id: string,
    { as = system.admin, status, ...known }: Step = {},
  ): Promise<ExampleResponse> => {
    const operation = operations.find((one) => one.id === id)
    if (operation === undefined) throw new Error(`/docs/${name}/json has no operation ${id}`)
    done.add(operation)
    const responses: ExampleResponse[] = []
    for (const request of requestsOf(operation, known)) {
      const response = await sendExample(system, operation, request, as)
      const isExpected = status === undefined ? response.status < 400 : response.status === status
      t.ok(isExpected, `${id}: ${operation.method} ${request.target} gets ${response.status}`, response)
      t.equal(check(operation, response), undefined, `${id} fits the document`)
      responses.push(response)
    }
    const [first] = responses
    if (first === undefined) throw new Error(`${id} has no example`)
    return first
  }
  const unrun = () => operations.filter((operation) => !done.has(operation)).map(({ id }) => id)
  return { run, unrun }
}

t.test('every example in the OpenAPI documents works and gets the documented response', async (t) => {
  const system = await startSystem(t)

  await t.test('every example of the registry API works', async (t) => {
    const { run, unrun } = await openDocument(t, system, 'registry')
    await run('getBase')
    await run('headBase')
    const uploadOf = (response: ExampleResponse): Known => {
      const { pathname, searchParams } = new URL(response.headers.get('location') ?? '', system.url)
      return { path: { id: pathname.split('/').at(-1) ?? '' }, query: searchParams }
    }
    const canceled = uploadOf(await run('startUpload', { status: 202 }))
    await run('getUpload', canceled)
    await run('headUpload', canceled)
    await run('cancelUpload', canceled)
    await run('cancelUpload', { ...canceled, status: 404 })
    const started = uploadOf(await run('startUpload', { status: 202, without: ['mount', 'from'] }))
    const filled = uploadOf(await run('uploadChunk', started))
    await run('closeUpload', filled)
    await run('startUpload', { status: 201 })
    await run('getBlob')
    await run('headBlob')
    const pushed = await run('putManifest')
    const digest = pushed.headers.get('docker-content-digest') ?? ''
    await run('getManifest')
    await run('headManifest')
    await run('getManifest', { path: { reference: digest } })
    for (const id of ['getTags', 'headTags', 'getCatalog', 'headCatalog', 'getReferrers', 'headReferrers'])
      await run(id)
    await run('deleteManifest')
    await run('deleteManifest', { path: { reference: digest } })
    await run('getManifest', { status: 404 })
    const again = uploadOf(await run('startUpload', { status: 202 }))
    await run('closeUpload', { ...again, body: { type: 'application/octet-stream', text: '{}' } })
    await run('deleteBlob')
    await run('deleteBlob', { status: 404 })
    await run('startUpload', { status: 401, as: WRONG })
    t.strictSame(unrun(), [])
  })

  await t.test('every example of the API of accounts and tokens works', async (t) => {
    const { run, unrun } = await openDocument(t, system, 'auth')
    await run('getKeys')
    await run('getCertificate')
    const [JSON_BODY, FORM] = ['application/json', 'application/x-www-form-urlencoded']
    await run('createUser', { type: JSON_BODY })
    await run('createUser', { type: JSON_BODY, status: 409 })
    await run('deleteUser')
    await run('createUser', { type: FORM })
    for (const id of ['changeUser', 'changePassword', 'changeNamespaces', 'getUser', 'listUsers'])
      await run(id)
    for (const id of ['requestToken', 'requestTokenByOAuth']) {
      await run(id)
      await run(`${id}OfImageManager`)
    }
    await run('endSessions')
    await run('deleteUser')
    await run('getUser', { status: 404 })
    await run('requestToken', { status: 401, as: WRONG })

    const signedIn = await fetch(`${system.url}/sign-in`, {
      method: 'POST',
      body: new URLSearchParams({ ...system.admin }),
      redirect: 'manual',
    })
    const [cookie = ''] = (signedIn.headers.get('set-cookie') ?? '').split(';')
    await run('getBrowserSession', { as: { cookie } })
    await run('getBrowserSession', { status: 401 })
    await run('createUser', { type: JSON_BODY })
    await run('createGroup')
    await run('createGroup', { status: 409 })
    for (const id of ['getGroup', 'putGroup', 'listGroups', 'addGroupMember', 'replaceGroupMembers'])
      await run(id)
    for (const id of ['listGroupMembers', 'removeGroupMember']) await run(id)
    await run('removeGroupMember', { status: 404 })
    const grant = JSON.parse((await run('createGrant')).text) as { id: string }
    await run('createGrant', { status: 409 })
    for (const id of ['listGrants', 'replaceGrants', 'listNamespaces']) await run(id)
    for (const id of ['explainAccess', 'explainChangedAccess', 'listWhoMay']) await run(id)
    await run('deleteGrant', { path: { grantId: grant.id } })
    await run('deleteGrant', { path: { grantId: grant.id }, status: 404 })
    await run('listGrants', { status: 401, as: WRONG })
    await run('deleteGroup')
    await run('deleteUser')
    // The system of this test has no provider.
    await run('endSessionsByProvider', { status: 404 })
    await run('authorizeDevice')
    const personalToken = JSON.parse((await run('createPersonalToken')).text) as { id: string }
    await run('createPersonalToken', { status: 409 })
    await run('listPersonalTokens')
    const ofPersonalToken = { path: { id: personalToken.id } }
    await run('getPersonalToken', ofPersonalToken)
    await run('deletePersonalToken', ofPersonalToken)
    await run('deletePersonalToken', { ...ofPersonalToken, status: 404 })

    await run('listEvents')
    const { items } = JSON.parse((await run('listRegistries')).text) as { items: { id: string }[] }
    const path = { registryId: items[0]?.id ?? '' }
    const { digest } = await pushSmallImage(system, system.admin, 'team/app', '1.0')
    for (const id of ['getRegistry', 'listRepositories', 'getRepository', 'listArtifacts'])
      await run(id, { path })
    await run('listArtifactsOfRepository', { path })
    await run('getArtifact', { path: { ...path, digest } })
    await run('getArtifact', { path, status: 404 })
    await run('checkRegistryName')
    await run('checkRegistryName', { path: { name: 'another-name' }, status: 404 })

    const created = JSON.parse((await run('createRegistryToken', { path })).text) as { id: string }
    await run('createRegistryToken', { path, status: 409 })
    const ofToken = { path: { ...path, tokenId: created.id } }
    for (const id of ['getRegistryToken', 'changeRegistryToken', 'replaceRegistryToken'])
      await run(id, ofToken)
    await run('listRegistryTokens', { path })
    await run('deleteRegistryToken', ofToken)
    await run('getRegistryToken', { ...ofToken, status: 404 })
    await run('replaceRegistryToken', { ...ofToken, status: 201 })
    await run('listRegistryTokens', { path, status: 401, as: WRONG })

    const rule = JSON.parse((await run('createTrustRule', { status: 201 })).text) as { id: string }
    await run('createTrustRule', { status: 409 })
    const ofRule = { path: { id: rule.id } }
    for (const id of ['getTrustRule', 'replaceTrustRule']) await run(id, ofRule)
    for (const id of ['listTrustRules', 'replaceTrustRules']) await run(id)
    await run('deleteTrustRule', ofRule)
    await run('getTrustRule', { ...ofRule, status: 404 })
    await run('listTrustRules', { status: 401, as: WRONG })
    t.strictSame(unrun(), [])
  })

  await t.test('every example of the image management API works', async (t) => {
    const { run, unrun } = await openDocument(t, system, 'images')
    await run('getGreeting')
    await run('getApiGreeting')
    await run('listRepositories')
    await run('getRepository')
    await run('setRepositoryScope')
    await run('setRepositoryScope', { body: { type: 'text/plain', text: '{"scope":"all"}' }, status: 400 })
    await run('listTags')
    await run('listManifests')
    await run('getTagHistory')
    await run('restoreTag')
    await run('restoreTag', { path: { tag: 'unknown' }, status: 404 })
    await run('getImmutability')
    await run('putImmutability')
    await run('putImmutability', { status: 401, as: WRONG })
    for (const id of ['putRetention', 'getRetention', 'dryRunRetention', 'listRetentionRuns']) await run(id)
    await run('putRetention', { status: 401, as: WRONG })
    await run('deleteRepository', { status: 403 })
    const noRules = { type: 'application/json', text: '{"rules":[]}' }
    await run('putImmutability', { body: noRules })
    for (const id of ['setQuota', 'getQuota', 'getUsage', 'recountUsage']) await run(id)
    await run('setQuota', { body: { type: 'application/json', text: '{"bytes":-1}' }, status: 400 })
    for (const id of ['getCollection', 'setCollection', 'listUnknownBlobs']) await run(id)
    await run('setCollection', { body: { type: 'application/json', text: '{"paused":1}' }, status: 400 })
    for (const id of ['getStorage', 'listNamespaceSizes', 'listRepositorySizes']) await run(id)
    await run('getStorage', { status: 401, as: WRONG })
    await run('deleteRepository')
    await run('deleteRepository', { status: 404 })
    const findTrashed = async () => {
      const { items } = JSON.parse((await run('listTrash')).text) as { items: { id: string }[] }
      return { path: { id: items[0]?.id ?? '' } }
    }
    await run('restoreTrash', { status: 404 })
    await run('restoreTrash', await findTrashed())
    await run('deleteRepository')
    await run('purgeTrash', await findTrashed())
    await run('purgeTrash', { status: 404 })
    await run('listRepositories', { status: 401, as: WRONG })
    t.strictSame(unrun(), [])
  })

  const skip = chromiumIsMissing()
  await t.test('Chromium shows the API pages under their Content-Security-Policy', { skip }, async (t) => {
    const { page, violations } = await openChromium(t)
    const headers = { 'content-security-policy': "default-src 'none'" }
    const body = '<script>document.title = "x"</script>'
    await page.route('http://blocked.invalid/', (route) =>
      route.fulfill({ headers, contentType: 'text/html', body }),
    )
    await page.goto('http://blocked.invalid/')
    t.equal(violations().length, 1, 'the console tells what a policy blocks')
    for (const [name, text] of Object.entries(PAGES)) {
      await page.goto(`${system.url}/docs/${name}`)
      await page.getByText(text).first().waitFor()
      const html = await page.content()
      t.notMatch(html, /type="password"|try-out|class="[^"]*authorize/, 'no form for credentials or requests')
      t.equal(violations().length, 1, `the policy blocks nothing that /docs/${name} needs`)
    }
  })
})
