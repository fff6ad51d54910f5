import { parseAllDocuments } from 'yaml'

/** A Kubernetes object, as kustomize and helm print it. */
export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Labels }
  // oxlint-disable-next-line typescript/no-explicit-any -- what it holds depends on its kind; the schemas check it
  readonly [field: string]: any
}

export type Labels = Readonly<Record<string, string>>

/** All objects of a kind. */
export function ofKind(manifests: readonly Manifest[], kind: string): readonly Manifest[] {
  return manifests.filter((manifest) => manifest.kind === kind)
}

/** The objects of a YAML stream, without empty documents. Throws for a document that is not YAML. */
export function manifestsOf(text: string): readonly Manifest[] {
  return parseAllDocuments(text).flatMap((document) => {
    if (document.errors.length > 0) throw document.errors[0]
    const manifest = document.toJS() as Manifest | null
    return manifest === null ? [] : [withoutLineEnds(manifest)]
  })
}

/** kustomize breaks the base64 of secrets into lines, which Kubernetes ignores. */
function withoutLineEnds(manifest: Manifest): Manifest {
  if (manifest.kind !== 'Secret') return manifest
  const data = Object.entries(manifest['data'] as Record<string, string>)
  return {
    ...manifest,
    data: Object.fromEntries(data.map(([key, value]) => [key, value.replaceAll(/\s/g, '')])),
  }
}
