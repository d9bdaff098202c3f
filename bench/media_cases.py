def all_media_cases(): return []
