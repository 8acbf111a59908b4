"""The command line: parse, open the store, one library call, print. click and tqdm live here and only here."""
