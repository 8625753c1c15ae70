// What an API key of the admin port may be for: `administrator` changes things, `auditor` reads, holds, and is the second
// person in what takes two. Only auditors open the auditor's pages.
export type AdminRole = 'administrator' | 'auditor';
