/**
 * Turns objects into the text of Helm templates. Template code is not valid YAML, so tokens hold its place until the
 * YAML text exists.
 */
import { stringify } from 'yaml'

/** Template code, given the number of spaces that it is indented by. */
type Code = (indent: number) => string

/** Code that takes the place of a value, of an entry of a map or list, and of literal braces. */
export class TemplateCode {
  private readonly codes: Code[] = []

  /** A value: `{{ … }}` instead of a string, number, map or list. The code does its own quoting. */
  value(code: string): string {
    this.codes.push(() => code)
    return `HELM-VALUE-${this.codes.length - 1}-`
  }

  /** The key of an entry whose whole lines are replaced by code: `{ [key]: null }` in a map. */
  entry(code: Code): string {
    this.codes.push(code)
    return `HELM-ENTRY-${this.codes.length - 1}-`
  }

  /** An object as YAML, with braces of its own escaped and the code in the places of the tokens. */
  text(object: unknown): string {
    const yaml = stringify(object, { lineWidth: 0, aliasDuplicateObjects: false })
    return yaml
      .replaceAll(/\{\{|\}\}/g, (braces) => `{{ "${braces}" }}`)
      .replaceAll(/^( *)(?:- )?"?HELM-ENTRY-(\d+)-"?(?:: null)?$/gm, (_, spaces: string, at: string) =>
        this.codes[Number(at)]!(spaces.length)
          .split('\n')
          .map((line) => spaces + line)
          .join('\n'),
      )
      .replaceAll(/"?HELM-VALUE-(\d+)-"?/g, (_, at: string) => this.codes[Number(at)]!(0))
  }
}

/** Code that adds `key: …` if a value is set, and nothing if it is empty. */
export function optional(key: string, value: string): Code {
  return (indent) => `{{- with ${value} }}
${key}:
  {{- toYaml . | nindent ${indent + 2} }}
{{- end }}`
}

/** Code that adds `key: "…"` if a value is set. */
export function optionalText(key: string, value: string): Code {
  return () => `{{- with ${value} }}
${key}: {{ . | quote }}
{{- end }}`
}

/** Code that adds the entries of a list or map, if it has any. */
export function optionalEntries(value: string): Code {
  return (indent) => `{{- with ${value} }}
{{- toYaml . | nindent ${indent} }}
{{- end }}`
}

/** A template that exists only under a condition. */
export function when(condition: string | undefined, text: string): string {
  return condition === undefined ? text : `{{- if ${condition} }}\n${text}{{- end }}\n`
}
