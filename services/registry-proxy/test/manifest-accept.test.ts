import t from 'tap'
import { manifestAccept } from '../src/request-headers.ts'

const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'
const ARTIFACT = 'application/vnd.oci.artifact.manifest.v1+json'
const SCHEMA_1 = 'application/vnd.docker.distribution.manifest.v1+prettyjws'

const ALL = [ARTIFACT, DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST].toSorted()
const typesOf = (accept: string) => accept.split(', ').toSorted()

t.test('the registry gets every manifest type in Accept, whatever the client accepts', async (t) => {
  for (const accept of [
    undefined,
    '',
    '*/*',
    'application/json',
    'text/html,application/xhtml+xml;q=0.9',
    OCI_MANIFEST,
    OCI_INDEX,
    `${OCI_MANIFEST}, ${OCI_INDEX}`,
    SCHEMA_1,
    DOCKER_LIST,
    `${DOCKER_MANIFEST}, ${DOCKER_LIST}`,
    `${DOCKER_MANIFEST},${DOCKER_LIST};q=0.1`,
    `${DOCKER_LIST.toUpperCase()}, ${DOCKER_MANIFEST}`,
    `${DOCKER_MANIFEST};q=0`,
    `${DOCKER_MANIFEST}; Q=0.000, */*`,
    `x${DOCKER_MANIFEST}`,
  ]) {
    t.same(typesOf(manifestAccept(accept)), ALL, `Accept: ${accept}`)
  }
})

t.test('Accept lacks the list type for clients that accept Docker images but not Docker lists', async (t) => {
  for (const accept of [
    DOCKER_MANIFEST,
    `${DOCKER_MANIFEST};q=0.001`,
    `${DOCKER_MANIFEST}, ${DOCKER_LIST};q=0`,
    `${DOCKER_MANIFEST}, */*`,
    `text/html, ${DOCKER_MANIFEST.toUpperCase()} ;q=0.5`,
    `${OCI_MANIFEST}, ${OCI_INDEX}, ${DOCKER_MANIFEST}`,
    `${SCHEMA_1}, ${DOCKER_MANIFEST}`,
  ]) {
    const expected = ALL.filter((type) => type !== DOCKER_LIST)
    t.same(typesOf(manifestAccept(accept)), expected, `Accept: ${accept}`)
  }
})
