/**
 * The grammar of structured fields (RFC 8941), as sources of regular expressions. No alternatives
 * of a pattern begin with the same character, so that matching takes linear time for any input.
 */

/** A key (RFC 8941 §3.1.2). */
export const KEY = '[a-z*][a-z0-9_.*-]*'

/** The value of a parameter (RFC 8941 §3.3). */
export const BARE_ITEM = [
  '-?[0-9]{1,15}(?:\\.[0-9]{1,3})?',
  '"(?:[ !#-\\[\\]-~]|\\\\["\\\\])*"',
  "[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*",
  ':[A-Za-z0-9+/=]*:',
  '\\?[01]',
].join('|')

/** Any number of parameters (RFC 8941 §3.1.2). */
export const PARAMETERS = `(?:; *${KEY}(?:=(?:${BARE_ITEM}))?)*`
