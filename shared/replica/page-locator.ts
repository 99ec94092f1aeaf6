/** Where the newest version of one page lies. */
export interface PageLocation {
  /** Index of the LTX file in the snapshot's files, from 0. */
  readonly file: number;
  /** Bytes from the start of that file to the page's frame. */
  readonly offset: number;
  /** Bytes in the frame. */
  readonly size: number;
  /** `pageChecksum32` of the page, where it is known: a page without one cannot be verified. */
  readonly checksum?: number | undefined;
}
