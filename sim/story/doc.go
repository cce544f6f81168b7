// Package story tells a run of a simulated world: what a person must know who reads of a failure for the first time. A
// [Tale] is what was taken down; [Page] is the story on one page of text, [HTML] the same as a picture with lanes for
// nodes, clients, disks and links.
//
// A story begins with what is wrong and what that means ([Explain]), names the faults that matter, the moment at which
// it was decided, the first bad event, and what each replica held then.
package story
