"""The semantic front end that all semantic methods share: maps, codecs, absent-class drop and the FDS block."""
