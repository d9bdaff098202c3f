def all_machine_cases(): return []
