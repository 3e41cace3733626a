/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What all hooks share: a case is opened for the subject, the object is found, the verdict is
 * carried out and reported, and the scratch is given back.
 */
#ifndef GAMBESON_JUDGE_H
#define GAMBESON_JUDGE_H

#include "emit.h"

#define CLASS_BIT(class) (1u << (class))

/* The source class of the running program, by the path that it has now. */
__noinline int gb_source_class(u32 slot)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct mm_struct *mm = task->mm;
	struct file *exe = mm ? mm->exe_file : NULL;
	struct gb_scratch *s = scratch_at(slot);

	if (!s || !exe) {
		COUNT(unresolved_source);
		return GB_NONE;
	}
	resolve(s, exe->f_path.dentry, exe->f_path.mnt);
	return gb_source_of_path(slot);
}

/* The subject's source class in this table: as kept since the exec, unless the policy was replaced. */
static __always_inline u32 source_class(struct view *v, struct gb_subject *label)
{
	u32 generation = v->s->generation;

	if (v->head->sources_trivial)
		return 0;
	if (label->source_generation != generation) {
		label->source = gb_source_class(v->s->slot);
		label->source_generation = generation;
	}
	return label->source;
}

/* What `gb_open` returns instead of a slot. */
enum opened {
	NO_CASE = 1 << 16, /* nothing to judge: the operation passes */
	FAILED_EPERM,      /* can't be judged: the operation is denied */
	FAILED_EACCES,
};

/*
 * Opens a case if the running task is under a policy that has anything to say of these classes:
 * claims a scratch and fills in who is judged by what. Given the label that is kept with the task,
 * unless that says that it is free. Returns the scratch's slot.
 */
__noinline int gb_open(u32 classes, struct gb_subject *label)
{
	struct gb_workload *w = workload_in_force(label);
	struct gb_subject spare;
	u32 number, table, settings;
	struct gb_scratch *s;
	struct view v;
	u64 current;

	if (!w) {
		label = renewed_label(label, &spare);
		w = label ? workload_of(label) : NULL;
		if (!w)
			return NO_CASE;
	}
	number = label->workload;
	current = *(volatile u64 *)&w->current;
	settings = w->settings;
	table = current;
	if (table == GB_NONE)
		return NO_CASE;
	if (!view_table(&v, table)) {
		COUNT(no_table);
		return settings & GB_SET_EACCES ? FAILED_EACCES : FAILED_EPERM;
	}
	if (!((v.head->allow_list | v.head->can_deny | v.head->watches | settings >> GB_SET_VISIBLE_SHIFT) & classes))
		return NO_CASE;
	s = claim();
	if (!s)
		return settings & GB_SET_EACCES ? FAILED_EACCES : FAILED_EPERM;
	v.s = s;
	s->table = table;
	s->generation = current >> 32;
	s->workload = number;
	s->incarnation = w->incarnation;
	s->settings = settings;
	s->audited = v.head->audited;
	s->rate = w->rate;
	s->mapping = 0;
	s->args = ARGS_HOLD;
	s->tested = 0;
	s->argc = 0;
	s->row_count = 0;
	s->told_source = 0;
	s->event.flags = 0;
	s->source = source_class(&v, label);
	s->status = NAMELESS;
	return s->slot;
}

/* Opens a case in a hook, for the label that is kept with the task: its scratch. Or returns from the
 * hook.
 */
#define OPEN_FOR_OR_RETURN(label, classes)                                     \
	({                                                                     \
		struct gb_subject *kept_ = (label);                            \
		struct gb_scratch *opened_;                                    \
		int slot_;                                                     \
		if (is_free(kept_))                                            \
			return 0;                                              \
		slot_ = gb_open(classes, kept_);                               \
		if (slot_ == NO_CASE)                                          \
			return 0;                                              \
		if (slot_ == FAILED_EACCES)                                    \
			return -EACCES;                                        \
		opened_ = scratch_at(slot_);                                   \
		if (!opened_)                                                  \
			return -EPERM;                                         \
		opened_;                                                       \
	})

#define OPEN_OR_RETURN(classes) OPEN_FOR_OR_RETURN(kept_label(), classes)

static __always_inline bool has_terminal(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return task->signal->tty != NULL;
}

/* The conditions' state: owner, reading, no terminal. */
static __always_inline void set_holding(struct gb_scratch *s, bool owner, bool reading)
{
	bool terminal = has_terminal();

	s->holding = owner | reading << 1 | !terminal << 2;
	s->event.flags |= (owner ? GB_EV_OWNER : 0) | (terminal ? GB_EV_TTY : 0);
}

/* The pod's annotation asks for reports only. */
static __always_inline void put_in_force(struct gb_scratch *s)
{
	if (s->verdict == BLOCK && s->audited)
		s->verdict = AUDIT;
}

/* Carries the answer out: reports it, and returns what the hook returns. */
static __always_inline int carry_out(struct gb_scratch *s, u32 operation, u32 hook, bool silent)
{
	bool denied;

	put_in_force(s);
	denied = s->verdict == BLOCK;
	if (denied && s->settings & GB_SET_OBSERVE) {
		denied = false;
		s->event.flags |= GB_EV_PASSED;
	}
	if (denied)
		COUNT(denied);
	else if (s->verdict == AUDIT && !silent)
		COUNT(audited);
	if (!silent && (s->verdict != ALLOW || s->settings >> GB_SET_VISIBLE_SHIFT >> s->class & 1)) {
		s->event.operation = operation;
		s->event.hook = hook;
		gb_emit(s->slot);
	}
	if (!denied)
		return 0;
	return s->settings & GB_SET_EACCES ? -EACCES : -EPERM;
}

static __always_inline bool owns(struct inode *inode)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return inode && inode->i_uid.val == task->cred->fsuid.val;
}

/*
 * The inode of a dentry, or NULL where the name is new.
 *
 * Some verifiers (6.4 to 6.12 and later) take a hook's dentries for ones that have an inode, and
 * remove checks that say otherwise. So the dentry's type is given to its plain address first.
 */
static __always_inline struct inode *inode_of(struct dentry *dentry)
{
	if (bpf_rdonly_cast)
		return TYPED(dentry, dentry)->d_inode;
	return dentry->d_inode;
}

/* The inode whose owner counts: the object's, or for a new name its directory's. */
static __always_inline struct inode *owned_inode(struct dentry *dentry)
{
	return inode_of(dentry) ?: inode_of(dentry->d_parent);
}

static long below_step(u32 i, struct view *v)
{
	struct gb_scratch *s = v->s;
	struct gb_below *b = &s->below;
	u32 *pair;

	if (i >= b->count)
		return 1;
	pair = at(v->table, v->head->below_pairs + (b->first + i) * 8, 8);
	if (!pair)
		return 1;
	s->rows[0] = pair[0];
	s->rows[1] = pair[1];
	s->row_count = pair[1] ? 2 : 1;
	gb_answer_for_subject(s->slot);
	/* A tie goes to the name itself, then to the smaller rule. */
	if (s->verdict > s->worst_below.verdict ||
	    (b->better && s->verdict == s->worst_below.verdict &&
	     order_of(s->cause, s->rule) < order_of(s->worst_below.cause, s->worst_below.rule))) {
		s->worst_below = decision_of(s);
		b->better = 1;
	}
	return 0;
}

/* Renaming a directory is a write to every path below it that a rule names. */
__noinline int gb_judge_below(u32 slot)
{
	struct gb_scratch *s;
	struct gb_place *place;
	struct view v;
	u32 *run, end;

	if (!view_of(&v, slot))
		return 0;
	s = v.s;
	if (s->status != RESOLVED || s->length >= MAX_PATH)
		return 0;
	/* As a directory's path it ends in a slash. */
	copy_path(s);
	end = s->length;
	if (s->count) {
		s->text[end & 4095] = '/';
		end++;
	}
	walk_trie(&v, &v.head->file, 0, end);
	if (s->walk.ended_in != GB_NONE)
		s->walk.node = s->walk.ended_in;
	else if (s->walk.consumed < s->walk.length)
		return 0;
	place = place_at(&v, s->walk.node);
	if (!place || !place->below)
		return 0;
	run = at(v.table, v.head->below_lists + place->below * 8, 8);
	if (!run)
		return 0;
	s->worst_below = decision_of(s);
	s->below.first = run[0];
	s->below.count = run[1];
	s->below.better = 0;
	/* Whose they are is not known. */
	s->holding &= ~1u;
	bpf_loop(GB_MAX_BELOW, below_step, &v, 0);
	take_decision(s, &s->worst_below);
	if (s->below.better)
		s->event.flags |= GB_EV_BELOW;
	return 0;
}

/* Decides a read or write of the path in the scratch. */
static __always_inline void decide_file(struct gb_scratch *s, bool owner, bool reading, bool with_below)
{
	s->class = FILES;
	set_holding(s, owner, reading);
	gb_decide_path(s->slot);
	if (with_below)
		gb_judge_below(s->slot);
}

/* Decides about what isn't a path: `place` is a socket's profile, a capability or a preset. */
__noinline int gb_decide_row(u32 slot, u32 class, u32 place)
{
	struct gb_scratch *s;
	struct view v;
	u32 rows;

	if (!view_of(&v, slot))
		return 0;
	s = v.s;
	s->class = class;
	s->status = NAMELESS;
	rows = class == NETWORK ? v.head->network : class == CAPABILITIES ? v.head->capabilities : v.head->presets;
	s->rows[0] = 0;
	if (class != CAPABILITIES || place < v.head->capability_count)
		s->rows[0] = word_at(v.table, rows + place * 4);
	s->row_count = 1;
	if (s->source == GB_NONE)
		gb_answer_for_subject(slot);
	else
		answer(&v, s->source);
	return 0;
}

static __always_inline int judge_row(struct gb_scratch *s, u32 class, u32 place, u32 operation, u32 hook, bool silent)
{
	int result;

	set_holding(s, false, false);
	gb_decide_row(s->slot, class, place);
	result = carry_out(s, operation, hook, silent);
	release(s);
	return result;
}

#endif
