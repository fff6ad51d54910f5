import {
  ArtifactsApi,
  Configuration,
  LocationsApi,
  NamesApi,
  RegistriesApi,
  RepositoriesApi,
  TokensApi,
} from '@ionos-cloud/sdk-nodejs-container-registry'
import t from 'tap'
import { pushSmallImage } from './harness/small-image.ts'
import { basic, startSystem, tokenFor } from './harness/system.ts'

/* The provider's public SDK from npm. Only its base URL is set. */
t.test("the provider's SDK for registry tokens works with registry-manager", async (t) => {
  const system = await startSystem(t)
  const image = await pushSmallImage(system, system.admin, 'team/app', 'v1')
  const basePath = `${system.url}/containerregistries`
  const byPassword = new Configuration({ basePath, ...system.admin })
  // The SDK's calls for repositories and artifacts send a bearer token and no password.
  const byToken = new Configuration({ basePath, apiKey: await tokenFor(system, system.admin) })
  const tokens = new TokensApi(byPassword)
  const registries = new RegistriesApi(byPassword)

  const { data: found } = await registries.registriesGet({})
  const registryId = found.items?.[0]?.id ?? ''
  const { data: registry } = await registries.registriesFindById({ registryId })
  t.match(registry, {
    id: registryId,
    type: 'registry',
    properties: { hostname: system.host, storageUsage: { bytes: Number } },
  })
  t.ok((registry.properties?.storageUsage?.bytes ?? 0) > image.manifest.length)

  const scopes = [{ type: 'repository', name: 'team/*', actions: ['pull'] }]
  const properties = { name: 'from-the-SDK', scopes, expiryDate: '2036-12-24T18:00:00.000Z' }
  const { data: made, status } = await tokens.registriesTokensPost({
    registryId,
    postTokenInput: { properties },
  })
  t.equal(status, 200)
  const tokenId = made.id ?? ''
  const credentials = made.properties?.credentials
  t.match(made, {
    properties: {
      name: 'from-the-SDK',
      expiryDate: '2036-12-24T18:00:00Z',
      credentials: { password: /^rmt_/ },
    },
  })
  const signIn = async (password: string | undefined) => {
    const authorization = basic({ username: 'from-the-SDK', password: password ?? '' })
    const response = await fetch(`${system.url}/v2/team/app/manifests/v1`, { headers: { authorization } })
    return response.status
  }
  t.equal(await signIn(credentials?.password), 200, 'the credentials of the new token work')

  const refused: unknown = await tokens
    .registriesTokensPost({ registryId, postTokenInput: { properties } })
    .catch((error: unknown) => error)
  const messages = [{ errorCode: '0', message: 'already exists: name is not available' }]
  t.match(refused, { response: { status: 409, data: { httpStatus: 409, messages } } })
  t.match((await tokens.registriesTokensFindById({ registryId, tokenId })).data, {
    id: tokenId,
    metadata: { state: 'enabled' },
  })
  t.match((await tokens.registriesTokensGet({ registryId, limit: '1', offset: '0' })).data, {
    count: 1,
    total: 1,
    items: [{ id: tokenId }],
  })
  const soon = await tokens.registriesTokensGet({ registryId, filters: { expiresWithin: '86400' } as never })
  t.match(soon.data, { count: 0, total: 0 }, "the SDK's filters have an effect")

  const patchTokenInput = { status: 'disabled' as never }
  const { data: patched } = await tokens.registriesTokensPatch({ registryId, tokenId, patchTokenInput })
  t.match(patched, { properties: { status: 'disabled', expiryDate: '2036-12-24T18:00:00Z' } })
  const putTokenInput = { properties: { name: 'from-the-SDK', scopes } }
  const { data: put } = await tokens.registriesTokensPut({ registryId, tokenId, putTokenInput })
  t.match(put, { properties: { status: 'enabled', credentials: { password: /^rmt_/ } } })
  t.not(put.properties?.credentials?.password, credentials?.password)
  t.equal(await signIn(put.properties?.credentials?.password), 200)

  const repositories = new RepositoriesApi(byToken)
  const artifacts = new ArtifactsApi(byToken)
  const repositoryName = 'team/app'
  t.match((await repositories.registriesRepositoriesGet({ registryId, filterName: 'app' })).data, {
    items: [{ id: repositoryName, metadata: { artifactCount: 1 } }],
  })
  t.match((await repositories.registriesRepositoriesFindByName({ registryId, repositoryName })).data, {
    properties: { name: repositoryName },
  })
  const artifact = { id: image.digest, properties: { repositoryName, digest: image.digest, tags: ['v1'] } }
  t.match((await artifacts.registriesRepositoriesArtifactsGet({ registryId, repositoryName })).data, {
    items: [artifact],
  })
  t.match((await artifacts.registriesArtifactsGet({ registryId })).data, { items: [artifact] })
  const { digest } = image
  t.match(
    (await artifacts.registriesRepositoriesArtifactsFindByDigest({ registryId, repositoryName, digest }))
      .data,
    artifact,
  )

  t.equal((await tokens.registriesTokensDelete({ registryId, tokenId })).status, 204)
  const gone: unknown = await tokens
    .registriesTokensFindById({ registryId, tokenId })
    .catch((error: unknown) => error)
  t.match(gone, { response: { status: 404 } })

  // The provider's command line tool creates a token without scopes and restores a deleted token with PUT.
  const { data: empty } = await tokens.registriesTokensPost({
    registryId,
    postTokenInput: { properties: { name: 'without-scopes' } as never },
  })
  t.strictSame(empty.properties?.scopes, [])
  const back = await tokens.registriesTokensPut({ registryId, tokenId, putTokenInput })
  t.match(back, { status: 201, data: { id: tokenId } })
  t.equal(await signIn(back.data.properties?.credentials?.password), 200, 'the restored token works')

  t.equal((await new NamesApi(byPassword).namesCheckUsage({ name: 'registry-manager' })).status, 200)
  const refusals: readonly (readonly [status: number, ask: () => Promise<unknown>])[] = [
    [404, () => new NamesApi(byPassword).namesCheckUsage({ name: 'another' })],
    [405, () => registries.registriesDelete({ registryId })],
    [501, () => new LocationsApi(byPassword).locationsGet()],
    [400, () => artifacts.registriesArtifactsGet({ registryId, filterVulnerabilityId: 'CVE-2026-1' })],
  ]
  for (const [expected, ask] of refusals) {
    t.match(await ask().catch((error: unknown) => error), { response: { status: expected } })
  }
})
