import type { FieldFault } from '@registry-manager/http'
import type { TagRule } from './tag-rule.ts'
import { findRuleFault } from './tag-rule.ts'

export interface ManageTagRulesPorts {
  readonly tagRules: {
    getRules(namespace: string): Promise<readonly TagRule[]>
    replaceRules(namespace: string, rules: readonly TagRule[]): Promise<void>
  }
}

export interface ManageTagRules {
  get(namespace: string): Promise<readonly TagRule[]>
  /** Replaces all rules of a namespace. Returns the fault of an invalid list; then nothing changes. */
  replace(namespace: string, rules: readonly TagRule[]): Promise<{ readonly fault: FieldFault } | undefined>
}

/** Reads and replaces the rules that make tags of a namespace immutable. */
export function createManageTagRules({ tagRules }: ManageTagRulesPorts): ManageTagRules {
  return {
    get: (namespace) => tagRules.getRules(namespace),
    async replace(namespace, rules) {
      const fault = findRuleFault(namespace, rules)
      if (fault !== undefined) return { fault }
      await tagRules.replaceRules(namespace, rules)
      return undefined
    },
  }
}
