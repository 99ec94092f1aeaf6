;; The only file system that SQLite has here, registered through its public API (sqlite3_vfs): files
;; that the host lends, for reading. Where the host has no page, xRead leaves this query's private
;; stack, suspends until the page is there, comes back and reads again. From `leave` to the suspension
;; and from the resumption to `enter` nothing else can run.
;;
;; A file (sqlite3_file) is two words: +0 its methods, 0 while it is not open; +4 the host's number.
(module
  (import "sqlite" "memory" (memory 1))
  (import "host" "leave" (func $leave (result i32)))
  (import "host" "enter" (func $enter (param i32)))
  ;; Answers a number of the host's, or -1 where it lends no such file.
  (import "host" "open" (func $open (param $path i32) (result i32)))
  (import "host" "close" (func $close (param $file i32)))
  ;; Answers the bytes that there were, or -1 where a page is missing.
  (import "host" "read"
    (func $read (param $file i32) (param $target i32) (param $bytes i32) (param $from f64) (result i32)))
  (import "host" "fault" (func $fault (param $file i32) (result i32)))
  (import "host" "size" (func $size (param $file i32) (result f64)))
  (import "host" "now" (func $now (result f64)))
  (import "host" "random" (func $random (param $bytes i32) (param $target i32)))

  (global $methods (mut i32) (i32.const 0))
  (func (export "initialize") (param $methods i32) (global.set $methods (local.get $methods)))

  (func (export "xOpen")
    (param $vfs i32) (param $path i32) (param $file i32) (param $flags i32) (param $out i32) (result i32)
    (local $number i32)
    (i32.store (local.get $file) (i32.const 0))
    (local.set $number (call $open (local.get $path)))
    ;; SQLITE_CANTOPEN
    (if (i32.lt_s (local.get $number) (i32.const 0)) (then (return (i32.const 14))))
    (i32.store offset=4 (local.get $file) (local.get $number))
    (i32.store (local.get $file) (global.get $methods))
    ;; SQLITE_OPEN_MAIN_DB and SQLITE_OPEN_READONLY, whatever was asked for.
    (if (local.get $out) (then (i32.store (local.get $out) (i32.const 0x101))))
    (i32.const 0))

  ;; SQLITE_IOERR_DELETE: nothing can be removed.
  (func (export "xDelete") (param i32 i32 i32) (result i32) (i32.const 2570))

  ;; There is no journal and no log beside any file.
  (func (export "xAccess") (param $vfs i32) (param $path i32) (param $flags i32) (param $out i32) (result i32)
    (i32.store (local.get $out) (i32.const 0))
    (i32.const 0))

  ;; Every path is a full one.
  (func (export "xFullPathname")
    (param $vfs i32) (param $path i32) (param $bytes i32) (param $out i32) (result i32)
    (local $at i32)
    (local $byte i32)
    (loop $next
      ;; SQLITE_CANTOPEN where it does not fit.
      (if (i32.ge_s (local.get $at) (local.get $bytes)) (then (return (i32.const 14))))
      (local.set $byte (i32.load8_u (i32.add (local.get $path) (local.get $at))))
      (i32.store8 (i32.add (local.get $out) (local.get $at)) (local.get $byte))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (local.get $byte)))
    (i32.const 0))

  (func (export "xRandomness") (param $vfs i32) (param $bytes i32) (param $target i32) (result i32)
    (call $random (local.get $bytes) (local.get $target))
    (local.get $bytes))

  (func (export "xSleep") (param $vfs i32) (param $microseconds i32) (result i32)
    (local.get $microseconds))

  ;; Days and milliseconds since noon of the 24th of November 4714 BC.
  (func (export "xCurrentTime") (param $vfs i32) (param $out i32) (result i32)
    (f64.store (local.get $out)
      (f64.div (f64.add (call $now) (f64.const 210866760000000)) (f64.const 86400000)))
    (i32.const 0))
  (func (export "xCurrentTimeInt64") (param $vfs i32) (param $out i32) (result i32)
    (i64.store (local.get $out)
      (i64.add (i64.trunc_f64_s (call $now)) (i64.const 210866760000000)))
    (i32.const 0))

  (func (export "xGetLastError") (param i32 i32 i32) (result i32) (i32.const 0))

  (func (export "xClose") (param $file i32) (result i32)
    (call $close (i32.load offset=4 (local.get $file)))
    (i32.store (local.get $file) (i32.const 0))
    (i32.const 0))

  (func (export "xRead")
    (param $file i32) (param $target i32) (param $bytes i32) (param $from i64) (result i32)
    (local $number i32)
    (local $got i32)
    (local $failed i32)
    (local $stack i32)
    (local.set $number (i32.load offset=4 (local.get $file)))
    (loop $again
      (local.set $got
        (call $read
          (local.get $number) (local.get $target) (local.get $bytes)
          (f64.convert_i64_s (local.get $from))))
      (if (i32.eq (local.get $got) (local.get $bytes)) (then (return (i32.const 0))))
      (if (i32.lt_s (local.get $got) (i32.const 0))
        (then
          (local.set $stack (call $leave))
          (local.set $failed (call $fault (local.get $number)))
          (call $enter (local.get $stack))
          (br_if $again (i32.eqz (local.get $failed)))
          ;; SQLITE_IOERR_READ
          (return (i32.const 266)))))
    ;; The file ends here: SQLite wants zeros behind it, and SQLITE_IOERR_SHORT_READ.
    (memory.fill
      (i32.add (local.get $target) (local.get $got))
      (i32.const 0)
      (i32.sub (local.get $bytes) (local.get $got)))
    (i32.const 522))

  ;; SQLITE_READONLY: whatever gets by the authorizer still finds no place to write to.
  (func (export "xWrite") (param i32 i32 i32 i64) (result i32) (i32.const 8))
  (func (export "xTruncate") (param i32 i64) (result i32) (i32.const 8))

  (func (export "xFileSize") (param $file i32) (param $out i32) (result i32)
    (i64.store (local.get $out)
      (i64.trunc_f64_s (call $size (i32.load offset=4 (local.get $file)))))
    (i32.const 0))

  ;; xSync, xLock and xUnlock: nobody else has the file.
  (func (export "nothing") (param i32 i32) (result i32) (i32.const 0))
  (func (export "xCheckReservedLock") (param $file i32) (param $out i32) (result i32)
    (i32.store (local.get $out) (i32.const 0))
    (i32.const 0))

  ;; SQLITE_NOTFOUND: no file control is known.
  (func (export "xFileControl") (param i32 i32 i32) (result i32) (i32.const 12))
  (func (export "xSectorSize") (param i32) (result i32) (i32.const 4096))
  ;; SQLITE_IOCAP_IMMUTABLE: no locks, no journal, and a cache that never has to be looked at again.
  (func (export "xDeviceCharacteristics") (param i32) (result i32) (i32.const 0x2000)))
