import t from 'tap'
import { isRepositoryName } from '../src/name.ts'
import type { RegistryRequest } from '../src/registry-request.ts'
import { parseRegistryRequest } from '../src/registry-request.ts'

const SHA256 = `sha256:${'a1'.repeat(32)}`
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']

/** The canonical path of a parsed request. */
function pathOf(request: RegistryRequest): string {
  switch (request.kind) {
    case 'base':
      return '/v2/'
    case 'catalog':
      return '/v2/_catalog'
    case 'tags':
      return `/v2/${request.repository}/tags/list`
    case 'referrers':
      return `/v2/${request.repository}/referrers/${request.digest}`
    case 'manifest': {
      const { reference, repository } = request
      return `/v2/${repository}/manifests/${'tag' in reference ? reference.tag : reference.digest}`
    }
    case 'blob':
      return `/v2/${request.repository}/blobs/${request.digest}`
    case 'upload-start':
      return `/v2/${request.repository}/blobs/uploads/`
    case 'upload':
      return `/v2/${request.repository}/blobs/uploads/${request.id}`
  }
}

t.test(
  'a path with inserted dots, slashes or escapes is refused, unless it equals the path of the parsed request',
  async (t) => {
    const paths = ['tags/list', 'manifests/v1', `blobs/${SHA256}`, 'blobs/uploads/', 'blobs/uploads/x-1']
    const pieces = [
      '/',
      '..',
      '/../',
      '/./',
      '%2f',
      '%2e',
      '%00',
      '%3A',
      ':',
      '\\',
      ';',
      '_',
      '-',
      '.',
      'A',
      'a',
    ]
    const [misread, understood] = [[] as string[], new Set<string>()]
    for (const path of paths.map((rest) => `/v2/team/app/${rest}`)) {
      for (let at = 0; at <= path.length; at += 1) {
        for (const piece of [...pieces, '/blobs/', '/uploads/', '/manifests/', '/tags/list', 'é', '\0']) {
          const target = path.slice(0, at) + piece + path.slice(at)
          for (const method of METHODS) {
            const parsed = parseRegistryRequest(method, target)
            if (!('request' in parsed)) continue
            const { request } = parsed
            understood.add(request.kind)
            const named = 'repository' in request ? isRepositoryName(request.repository) : true
            const spelled = target.replace('%3A', ':')
            if (!named || (pathOf(request) !== spelled && pathOf(request) !== `${spelled}/`))
              misread.push(target)
          }
        }
      }
    }
    t.same(misread, [])
    t.ok(understood.size >= 5, 'and plenty was understood')
  },
)
