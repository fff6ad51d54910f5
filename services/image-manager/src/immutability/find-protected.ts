import type { NamespaceRule, ProtectedTag } from './tag-rule.ts'
import { findProtection } from './tag-rule.ts'

export interface TagRulesPort {
  readonly tagRules: {
    /** The rules of all namespaces that cover a repository. */
    listRules(repository: string): Promise<readonly NamespaceRule[]>
  }
}

export type FindProtectedPorts = TagRulesPort & {
  readonly references: {
    /**
     * The tags, pending ones included, of the manifests with these digests and of all manifests that need one of the
     * digests, directly or through image indexes.
     */
    listTagsThatNeed(repository: string, digests: readonly string[]): Promise<string[]>
  }
}

/** An immutable tag that needs the manifest or blob with these digests. */
export async function findProtected(
  { tagRules, references }: FindProtectedPorts,
  repository: string,
  digests: readonly string[],
): Promise<ProtectedTag | undefined> {
  const rules = await tagRules.listRules(repository)
  if (rules.length === 0) return undefined
  for (const tag of await references.listTagsThatNeed(repository, digests)) {
    const protectedTag = findProtection(rules, repository, tag)
    if (protectedTag !== undefined) return protectedTag
  }
  return undefined
}
